"""How much of a packet is read before it is refused."""

from pydantic import BaseModel, ConfigDict, Field

_MIB = 1024 * 1024


class PacketLimits(BaseModel):
    """
    Bounds of what a reader spends on one packet; beyond any of them the packet is refused as malformed.

    Attributes:
        max_packet_bytes: Size of the whole packet.
        max_skeleton_bytes: Everything except the base64 text of attachments; all of it is held in memory.
        max_depth: Elements inside one another.
        max_elements: Elements in all.
        max_attributes: Attributes of one element.
        max_attributes_in_all: Attributes of all elements together.
        max_remarks: Comments and processing instructions in all.
        max_attachments: Attachments in all.
        max_content_bytes: One attachment after unzipping.
        max_content_bytes_in_all: All unzipped attachments together.
        max_zip_ratio: Unzipped size to zipped size, asked from 1 MiB of content on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_packet_bytes: int = Field(default=1024 * _MIB, gt=0)
    max_skeleton_bytes: int = Field(default=32 * _MIB, gt=0)
    max_depth: int = Field(default=64, gt=0)
    max_elements: int = Field(default=250_000, gt=0)
    max_attributes: int = Field(default=64, gt=0)
    max_attributes_in_all: int = Field(default=200_000, gt=0)
    max_remarks: int = Field(default=100, ge=0)
    max_attachments: int = Field(default=1_000, ge=0)
    max_content_bytes: int = Field(default=1024 * _MIB, gt=0)
    max_content_bytes_in_all: int = Field(default=2048 * _MIB, gt=0)
    max_zip_ratio: int = Field(default=200, gt=0)
