"""One look at whoever should be at the other end of the stream: is it there, and does it speak its protocol?

rtsp, sip and http get a harmless question (OPTIONS; HEAD for a picture), whose answer may be any but "no such thing"
and "I am broken": who asks for a password is there. Of rtsps, https and sips only the TCP connection is tried: the
column's certificates are for its broker. SIP goes over UDP unless its URI says transport=tcp.
Loaded when it is needed, and forgotten again.
"""

from firmware import const
from firmware.timing import Deadline

_SYSTEM_BYTES = const(20480)  # of its heap: a look-up and a connection take 12 KB, the rest is the session's
_LIMIT_MS = const(20000)  # for one endpoint: a look-up alone can take 19 s
_REPEAT_MS = const(1000)  # of a datagram that nobody answered
_HEAD_BYTES = const(12)  # "RTSP/1.0 200"
_GONE = (404, 410)
_BROKEN = const(500)
_UNKNOWN_METHOD = const(501)  # somebody is there, and says so
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "sip": 5060, "sips": 5061}


def probe(board, uris):
    """A generator: yields while it waits and ends when every endpoint of `uris` has answered.

    Raises OSError, saying which did not and why; MemoryError when there is no room for a look.
    """
    check_room(board)
    for kind in sorted(uris):
        limit = Deadline(board, _LIMIT_MS)
        talk = _talk(board, kind, uris[kind])
        try:
            for _ in talk:
                if limit.expired():
                    raise OSError("no answer within %d s" % (_LIMIT_MS // 1000))
                yield
        except (OSError, ValueError) as error:
            raise OSError("%s: %s" % (uris[kind], error))
        finally:
            talk.close()


def check_room(board):
    """Raises MemoryError when a look-up or a connection would leave the session's TLS too little."""
    free = board.system_heap()
    if free < _SYSTEM_BYTES:
        raise MemoryError("%d bytes of the system's heap are free, %d are needed" % (free, _SYSTEM_BYTES))


def place_of(uri):
    """(scheme, "host" or "host:port", what follows it)"""
    scheme, _, rest = uri.partition(":")
    if scheme in ("sip", "sips"):  # sip:user@host:port;options
        place, _, rest = rest.rpartition("@")[2].partition(";")
    else:
        place, _, rest = rest[2:].partition("/")
    return scheme, place, rest


def _talk(board, kind, uri):
    if uri.startswith("sip"):
        uri = uri.partition("?")[0]  # its headers are for a call
    scheme, place, rest = place_of(uri)
    host, _, port = place.partition(":")
    port = int(port) if port else _PORTS[scheme]
    lookup = board.lookup(host)
    address = lookup.result()
    while address is None:
        yield
        address = lookup.result()
    if scheme == "sip":
        over_udp = "transport=tcp" not in rest.lower()
        mark = "z9hG4bK%d" % board.random(1 << 30)  # RFC 3261: tells the answer to this question from a stray
        ours = (board.link.describe()["network"] or ("0.0.0.0",))[0]
        question = _sip(uri, ours, "UDP" if over_udp else "TCP", mark).encode()
        if over_udp:
            head = yield from _over_udp(board.datagram(address, port), Deadline(board, 0), question, mark.encode())
            return _judge(scheme, head)
    elif scheme == "rtsp":
        question = ("OPTIONS %s RTSP/1.0\r\nCSeq: 1\r\n\r\n" % uri).encode()
    elif scheme == "http":
        verb = "HEAD" if kind == "http" else "OPTIONS"
        question = ("%s /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (verb, rest, place)).encode()
    else:
        question = None
    head = yield from _over_tcp(board.dial(address, port, None), question)
    if question is not None:
        _judge(scheme, head)


def _sip(uri, address, transport, mark):
    return (
        "OPTIONS %s SIP/2.0\r\nVia: SIP/2.0/%s %s;rport;branch=%s\r\nMax-Forwards: 70\r\n"
        "From: <sip:column@%s>;tag=%s\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ) % (uri, transport, address, mark, address, mark, uri, mark)


def _over_tcp(stream, question):
    """Ends with the first bytes of the answer, or with none if there is nothing to ask."""
    head, count = bytearray(_HEAD_BYTES), 0
    try:
        while not stream.is_open():
            yield
        while question:
            question = question[stream.write(question) :]
            yield
        while question is not None and count < _HEAD_BYTES:
            got = stream.read_into(memoryview(head)[count:])
            if got == 0:
                raise OSError("closes without an answer")
            count += got or 0
            yield
    finally:
        stream.close()
    return bytes(head)


def _over_udp(peer, repeat, question, mark):
    try:
        answer = None
        while answer is None or mark not in answer:
            if repeat.expired():
                peer.send(question)
                repeat.start(_REPEAT_MS)
            yield
            answer = peer.receive()
    finally:
        peer.close()
    return answer[:_HEAD_BYTES]


def _judge(scheme, head):
    """The first bytes of an answer: "PROTOCOL/VERSION NUMBER". Raises OSError or ValueError."""
    version, _, number = head.partition(b" ")
    if not version.startswith(scheme.upper().encode() + b"/"):
        raise OSError("speaks another protocol")
    number = int(number[:3])
    if number in _GONE or number >= _BROKEN and number != _UNKNOWN_METHOD:
        raise OSError("answers %d" % number)
