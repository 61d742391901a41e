"""Weight files of foreign formats, read as arrays without running what is in them."""
