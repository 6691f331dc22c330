"""Examples that stand in the reference; a test sends each of them."""

from typing import Any, Final

from gateway.api.bodies import PACKET_TYPES
from gateway.api.multipart import FORM_TYPE

PACKET: Final = """<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016" xmlns:xlink="http://www.w3.org/1999/xlink">
  <edXMLEnvelope>
    <edXMLHeader>
      <MessageHeader Id="MessageHeader">
        <From><OrganId>H43.30.01</OrganId><OrganName>UBND xã Ví Dụ</OrganName></From>
        <To><OrganId>H43.30</OrganId><OrganName>UBND huyện Ví Dụ</OrganName></To>
        <Code><CodeNumber>15</CodeNumber><CodeNotation>BC-UBND</CodeNotation></Code>
        <PromulgationInfo><Place>Ví Dụ</Place><PromulgationDate>2024/12/31</PromulgationDate></PromulgationInfo>
        <DocumentType><Type>2</Type><TypeName>Báo cáo</TypeName></DocumentType>
        <Subject>Báo cáo tháng 12</Subject>
        <DocumentId>H43.30.01,2024/12/31,15/BC-UBND</DocumentId>
      </MessageHeader>
    </edXMLHeader>
    <edXMLBody/>
  </edXMLEnvelope>
</edXML>
"""

FORM_BOUNDARY: Final = "axis-form"

FORM: Final = """--axis-form
Content-Disposition: form-data; name="document"
Content-Type: application/json

{
  "header": {
    "sender": {"organ_id": "H43.30.01"},
    "addressees": [{"organ_id": "H43.30"}],
    "code": {"number": "15", "notation": "BC-UBND"},
    "promulgation": {"place": "Ví Dụ", "on": "2024-12-31"},
    "document_type": {"name": "Báo cáo"},
    "subject": "Báo cáo tháng 12",
    "steering_type": 1,
    "document_id": "H43.30.01,2024/12/31,15/BC-UBND"
  },
  "trace": {
    "traces": [{"organ_id": "H43.30.01", "at": "2024-12-31T08:30:00+07:00"}],
    "business": {"type": 0}
  },
  "attachments": [{"part": "bao-cao", "description": "Báo cáo"}]
}
--axis-form
Content-Disposition: form-data; name="bao-cao"; filename="bao-cao.txt"

Mọi việc đều tốt.
--axis-form--
""".replace("\n", "\r\n")

CSR: Final = """-----BEGIN CERTIFICATE REQUEST-----
…
-----END CERTIFICATE REQUEST-----
"""

UUID_7: Final = "0193f4a2-5c3e-7d31-9f0a-3b5c7d9e1f20"

PACKET_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "An edXML packet, as it is.",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}, "example": PACKET}
            for media_type in PACKET_TYPES
        },
    }
}
PACKET_OR_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        **PACKET_BODY["requestBody"],
        "description": "An edXML packet, as it is; or a form: `document` describes the packet as `/schemas/packet` "
        "says, `signature` is the `ds:Signature` over the `parts` that `/v1/validations` gives for the same form, "
        "and every other part is a file.",
        "content": {
            **PACKET_BODY["requestBody"]["content"],
            f"{FORM_TYPE}; boundary={FORM_BOUNDARY}": {
                "schema": {"type": "string", "format": "binary"},
                "example": FORM,
            },
        },
    }
}
