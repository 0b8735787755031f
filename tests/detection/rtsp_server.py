"""A real RTSP server for tests: GStreamer's, under the system's python3 (`python3 rtsp_server.py USER PASSWORD`).

Streams /live (640x360, H.264, a key frame a second), /large (1920x1080), on three ports: open, basic and digest. Prints
the ports as JSON once it listens, and ends with its parent's standard input.
"""

import json
import os
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

SIZES = {"/live": (640, 360), "/large": (1920, 1080)}


def add_streams(server, role):
    for path, (width, height) in SIZES.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(
            "( videotestsrc is-live=true pattern=smpte !"
            f" video/x-raw,format=I420,width={width},height={height},framerate=10/1 !"
            " x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 !"
            " rtph264pay name=pay0 pt=96 config-interval=-1 )"
        )
        # Each asker has an encoder of its own: GStreamer answers 503 while it puts a shared one away.
        factory.set_shared(False)
        if role:
            permissions = GstRtspServer.RTSPPermissions()
            structure = Gst.Structure.new_empty(role)
            structure.set_value("media.factory.access", True)
            structure.set_value("media.factory.construct", True)
            permissions.add_role_from_structure(structure)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)


def open_server(user, password, method):
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    if method is not None:
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(method)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        if method == GstRtsp.RTSPAuthMethod.DIGEST:
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
    add_streams(server, "viewer" if method is not None else None)
    server.attach(None)
    return server


Gst.init(None)
methods = {"open": None, "basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}
servers = {name: open_server(sys.argv[1], sys.argv[2], method) for name, method in methods.items()}
print(json.dumps({name: server.get_bound_port() for name, server in servers.items()}), flush=True)


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
GLib.MainLoop().run()
