"""What a chip needs besides when its interpreter is CPython: file system, importer, TLS engine, small modules."""
