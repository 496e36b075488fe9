"""The torch modules of the catalogue, an idea a file. Imported only when a network is built."""
