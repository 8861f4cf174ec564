"""The picture and the sound of cameras that speak RTSP, as WebRTC for the browser.

hosts: whom the desk may call. credentials: what it says to whoever asks who is there. gateway: starts the process that
does the work and speaks to it. In that process: relay (the one connection to a camera), source (packets out of it),
call (one browser's session), recorder and whep_recorder (files), process (the loop). whep: cameras that answer offers
themselves. It is a process of its own so that neither a picture's work nor a broken picture can hold up an alarm.
"""
