"""What an intercom says by SIP, word for word."""

INVITE = (
    b"INVITE sip:desk@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKabc;rport\r\n"
    b"From: <sip:petropavl-01@10.0.0.7>;tag=It's*mine!\r\nTo: <sip:desk@10.0.0.1>;tag=me\r\nCall-ID: one\r\n"
    b"CSeq: 7 INVITE\r\nContact: <sip:petropavl-01@10.0.0.7:5060;ob>\r\nContent-Length: 4\r\n\r\nv=0\n"
)


def stranger(number: int) -> bytes:
    """A call that nobody has heard of."""
    fresh = INVITE.replace(b"Call-ID: one", b"Call-ID: n%d" % number).replace(b";tag=me", b"")
    return fresh.replace(b"z9hG4bKabc", b"z9hG4bK%d" % number)
