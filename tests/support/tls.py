"""A private certificate authority, and one server certificate for every host the sandbox plays."""

import pathlib

from . import processes

NAMES = (
    "*.my.salesforce.com",
    "*.sandbox.my.salesforce.com",
    "login.salesforce.com",
    "test.salesforce.com",
    "api.workos.com",
    "localhost",
)


class Tls:
    """Paths: ca (to trust), cert and key (the server's)."""

    def __init__(self, folder, names=NAMES):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "ca.pem"
        self.cert = folder / "server.pem"
        self.key = folder / "server.key"
        self._make(folder, names)

    def _make(self, folder, names):
        ca_key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "server.ext"
        ec_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        processes.run(
            ["openssl", "req", "-x509", *ec_key, "-keyout", ca_key, "-out", self.ca, "-days", "30"]
            + ["-subj", "/CN=onbehalf test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        )
        processes.run(
            ["openssl", "req", "-new", *ec_key, "-keyout", self.key, "-out", request]
            + ["-subj", "/CN=onbehalf sandbox"]
        )
        alternatives = ",".join([f"DNS:{name}" for name in names] + ["IP:127.0.0.1"])
        extensions.write_text(
            f"subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
        )
        processes.run(
            ["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key]
            + ["-CAcreateserial", "-days", "30", "-extfile", extensions, "-out", self.cert]
        )
