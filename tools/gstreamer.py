"""GStreamer's RTSP server with its Python, as Debian packages it, unpacked without root: a camera for the tests.

Nobody here wrote it, so it holds the desk's media gateway to the protocol and not to our idea of it.
"""

from pathlib import Path

from tools import debian

PACKAGE = "gir1.2-gst-rtsp-server-1.0"
PYTHON = "usr/bin/python3.13"
# Only these: apt's plan would bring a desktop with it. A plug-in whose library is missing is left out by GStreamer.
NAMES = frozenset(
    {
        "libc6",
        "libgcc-s1",
        "libstdc++6",
        "zlib1g",
        "libbz2-1.0",
        "liblzma5",
        "libzstd1",
        "libexpat1",
        "libffi8",
        "libssl3t64",
        "libatomic1",
        "python3.13-minimal",
        "libpython3.13-minimal",
        "libpython3.13-stdlib",
        "python3-gi",
        "libgirepository-1.0-1",
        "gir1.2-girepository-2.0",
        "gir1.2-glib-2.0",
        "libglib2.0-0t64",
        "libpcre2-8-0",
        "libselinux1",
        "libmount1",
        "libblkid1",
        "gir1.2-gstreamer-1.0",
        "gir1.2-gst-plugins-base-1.0",
        "gir1.2-gst-rtsp-server-1.0",
        "libgstreamer1.0-0",
        "libgstreamer-plugins-base1.0-0",
        "libgstrtspserver-1.0-0",
        "gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-ugly",
        "libx264-164",
        "liborc-0.4-0t64",
        "libcap2",
        "libelf1t64",
        "libunwind8",
        "libdw1t64",
        "libjpeg62-turbo",
        "libopus0",
        "libogg0",
    }
)


def find(tools: Path) -> list[str]:
    """The argv prefix of a Python that has `gi.repository.GstRtspServer`. The caller keeps others out.

    Raises debian.DebianError.
    """
    with_it = ("python3-gi", "gstreamer1.0-plugins-good", "gstreamer1.0-plugins-ugly")
    root = debian.unpack(PACKAGE, "*", debian.architecture(64), tools, more=with_it, only=NAMES)
    libraries = next(iter(sorted(root.glob("usr/lib/*-linux-*"))), root)
    settings = {
        "PYTHONHOME": root / "usr",
        "PYTHONPATH": root / "usr/lib/python3/dist-packages",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GI_TYPELIB_PATH": libraries / "girepository-1.0",
        "GST_PLUGIN_SYSTEM_PATH": libraries / "gstreamer-1.0",
        "GST_REGISTRY": root / "gstreamer.registry",
        "GST_REGISTRY_FORK": "no",  # its scanner would run on the machine's own libc
    }
    return ["env", *(f"{key}={value}" for key, value in settings.items()), *debian.command(root, PYTHON)]
