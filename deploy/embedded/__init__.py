"""
The whole system in one process: private PostgreSQL, in-process bus, blobs in a folder.
"""
