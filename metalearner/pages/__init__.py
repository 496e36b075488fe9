"""The app's pages, a file each. They show what is on disk; training runs in a process of its own."""
