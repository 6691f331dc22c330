"""
The system in containers: one image, one command per process, everything else from variables and secret files.

`secret_files` makes the secrets once; `prepare` makes what a node has before its first process starts.
"""
