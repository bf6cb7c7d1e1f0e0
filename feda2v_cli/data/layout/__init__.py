"""How the files of data sets lie: one file a layout, and `registry`, which recognises them."""
