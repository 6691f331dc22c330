"""
A backup of a whole node in one file or folder, taken while it runs, and the way back.

    database/<service>.dump   every schema, of one snapshot, as `pg_dump -Fc` writes it
    blobs.txt                 digest and length of each packet that snapshot refers to
    blobs/aa/bb/<sha256>      those packets
    keys/keystore.json        the node's keys, encrypted as they lie
    node.json                 who the node is (embedded only)
    manifest.json             written last: what all of this is, with digests and counts

Never inside: the passphrase, the pepper and the webhook key. Who has the backup alone can neither sign as the node nor
try secrets of its systems; who restores it brings them.
"""

from deploy.backup.manifest import Manifest
from deploy.backup.restore import restore_distributed, restore_embedded
from deploy.backup.save import save
from deploy.backup.site import distributed_site, embedded_site

__all__ = ["Manifest", "distributed_site", "embedded_site", "restore_distributed", "restore_embedded", "save"]
