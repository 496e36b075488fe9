"""The torch modules of the grammar's productions, an idea a file. Imported only when a network is built."""
