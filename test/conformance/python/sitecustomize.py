"""Loaded by Python before a program that runs the vendor's library, which has the vendor's host names built in.

It stands for a resolver that leads these names (VENDOR_HOSTS) to our node, as an operator's would: connections go to the
loopback port in NODE_PORT, while names, paths, headers and the verification of the certificate stay the library's.
Every other name is unknown.
"""
import os
import socket

if "VENDOR_HOSTS" in os.environ:
    vendor = set(os.environ["VENDOR_HOSTS"].split(","))

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        if host not in vendor:
            raise socket.gaierror(socket.EAI_NONAME, "the library connects to %s" % host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", int(os.environ["NODE_PORT"])))]

    socket.getaddrinfo = getaddrinfo
