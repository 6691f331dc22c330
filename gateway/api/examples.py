"""Examples that stand in the reference; a test sends each of them."""

from typing import Final

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

CSR: Final = """-----BEGIN CERTIFICATE REQUEST-----
…
-----END CERTIFICATE REQUEST-----
"""

UUID_7: Final = "0193f4a2-5c3e-7d31-9f0a-3b5c7d9e1f20"
