//! An INVITE as a carrier's session border controller sends it: two Vias, two Record-Routes, identity, session timer, SDP of two codecs.

/// With line feeds alone; the wire has CR LF. About 1.3 kB.
pub(crate) const INVITE: &str = "INVITE sip:+4930123456@192.0.2.20:5060;transport=udp;user=phone SIP/2.0
Record-Route: <sip:192.0.2.9;lr;did=3a1.b2c41>
Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK0a2f.7c1d9a6ee5b84f0c.0;rport
Via: SIP/2.0/UDP 198.51.100.31:5070;received=198.51.100.31;branch=z9hG4bK-524287-1---b3c1fd0a;rport=5070
Max-Forwards: 68
From: \"Anna Beispiel\" <sip:+49301234567@carrier.example.net;user=phone>;tag=gK0c5f2a91
To: <sip:+4930123456@192.0.2.20;user=phone>
Call-ID: 68712904_103467821@198.51.100.31
CSeq: 314159 INVITE
Contact: <sip:+49301234567@198.51.100.31:5070;transport=udp>
Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REFER, NOTIFY
Supported: timer, 100rel, replaces
Session-Expires: 1800;refresher=uac
Min-SE: 90
User-Agent: ExampleSBC/9.2.1
P-Asserted-Identity: \"Anna Beispiel\" <sip:+49301234567@carrier.example.net;user=phone>
Privacy: none
Accept: application/sdp, application/isup
Content-Disposition: session;handling=required
Content-Type: application/sdp
Content-Length: 319

v=0
o=ExampleSBC 1711201 918273 IN IP4 198.51.100.31
s=call
c=IN IP4 198.51.100.40
t=0 0
m=audio 20384 RTP/AVP 8 0 18 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
a=ptime:20
a=maxptime:40
a=rtcp:20385
";
