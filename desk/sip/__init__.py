"""Calls by SIP: the intercom of a column, or a telephone. Sound is G.711; no picture, no encryption; UDP, or TCP.

    peer = Peer.of("sip:petropavl-01@10.20.0.7", ["10.20.0.7"], user="desk", password="...")
    talk = await Conversation.dial(peer)       # raises NoCall: busy, no-answer, refused, unauthorized, ...
    talk.sound.heard = lambda block: ...       # 20 ms, 8,000 samples a second, 16 bits
    talk.sound.speaker = Mouth()               # or anything that gives a block each time it is called
    why = await talk.over                      # NoCall: who ended it
    await talk.hang_up()                       # harmless when it is over

`announce` does all of this for a message that is to be played to whoever answers.

switchboard: calls that intercoms make to the desk. line: requests until they are answered, over a network that loses
packets. conversation: one call. sdp: what the two agree on. sound: the packets. g711, level: samples. announce: a
message to a telephone. prove, voice_figures: whether an intercom hears itself; these need numpy, and nothing else here
needs more than sipmessage, which takes the messages apart and puts them together. Everything from outside is hostile,
and bounded.
"""
