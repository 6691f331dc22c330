"""What the audit service answers."""

from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Health, Moment, Nothing, Operation


class TreeHead(Contract):
    """
    A signed head of the journal.

    Attributes:
        root_hash: Hex, RFC 9162 section 2.1.
        statement: Compact JWS `axis-tree-head` over `log_id`, `tree_size`, `root_hash`, `time`.
    """

    log_id: str
    tree_size: int
    root_hash: str
    time: Moment
    statement: str


class ReadTreeHead(Contract):
    """
    The newest signed head, or the one of a size.
    """

    tree_size: int | None = Field(default=None, ge=0)


class ReadInclusion(Contract):
    """
    Proof that an event is in the journal. Choose it by event id or by leaf number.

    Attributes:
        tree_size: Size of the signed head to prove against; None: the newest signed head that includes it.
    """

    event_id: UUID | None = None
    leaf_index: int | None = Field(default=None, ge=0)
    tree_size: int | None = Field(default=None, ge=1)


class Inclusion(Contract):
    """
    An inclusion proof.

    Attributes:
        leaf: RFC 8785 JSON text of the leaf.
        audit_path: Hex hashes, leaf to root.
    """

    leaf_index: int
    leaf: str
    leaf_hash: str
    audit_path: tuple[str, ...]
    head: TreeHead


class ReadConsistency(Contract):
    """
    Proof that the journal of a later size only appended to that of an earlier one.
    """

    first: int = Field(ge=1)
    second: int = Field(ge=1)


class Consistency(Contract):
    """
    A consistency proof, hex hashes.
    """

    first: int
    second: int
    path: tuple[str, ...]


READ_TREE_HEAD = Operation("audit.read_tree_head", ReadTreeHead, TreeHead)
READ_INCLUSION = Operation("audit.read_inclusion", ReadInclusion, Inclusion)
READ_CONSISTENCY = Operation("audit.read_consistency", ReadConsistency, Consistency)
READ_HEALTH = Operation("audit.read_health", Nothing, Health)
