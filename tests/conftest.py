"""What the tests share: running a script as a user does, data to run it on, a server."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["googlenet_mnist", "resnet_mnist", "residual_variants"]
ARCHIVES = [  # name and the size of the file in it
    ("train-images-idx3-ubyte.gz", 47_040_016),
    ("train-labels-idx1-ubyte.gz", 60_008),
    ("t10k-images-idx3-ubyte.gz", 7_840_016),
    ("t10k-labels-idx1-ubyte.gz", 10_008),
]

sys.path.insert(0, str(ROOT))

# No test may reach the internet: every request goes to a port where nobody listens,
# unless a test names its own server.
NOWHERE = "http://127.0.0.1:9"
PROXIES = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"]
os.environ.update(dict.fromkeys(PROXIES, NOWHERE), no_proxy="", NO_PROXY="")
os.environ["MPLBACKEND"] = "agg"
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the same seed gives the same on a CPU alone


class Script:
    """A running script; its output is read when it has ended."""

    def __init__(self, name, *flags, data, out, proxy=NOWHERE):
        command = [sys.executable, f"{name}.py", "--data", data, "--out", out, *flags]
        self.out, self.output = Path(out), ""
        self.process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(PROXIES, proxy),
        )

    def wait_for(self, text):
        """Read the output up to the first line with `text`."""
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"no {text!r} in {self.output!r}: {self.process.stderr.read()}")

    def end(self):
        """Wait for the end; return (exit status, standard output, standard error)."""
        output, errors = self.process.communicate()
        return self.process.returncode, self.output + output, errors

    def kill(self, signal_number):
        """Send a signal; return the result of `end` and how many seconds it took."""
        self.process.send_signal(signal_number)
        start = time.perf_counter()
        return self.end(), time.perf_counter() - start


def run_script(name, *flags, **places):
    """Run a script as a user does; return (exit status, output, errors)."""
    return Script(name, *flags, **places).end()


def in_parallel(function, cases):
    """[function(*case) for each case], two at a time with a thread each."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("OMP_NUM_THREADS", "1")
        return list(pool.map(lambda case: function(*case), cases))


def assert_one_line(errors, *words):
    """Assert that a user got one line and no traceback, and that it has `words`."""
    assert errors.endswith("\n")
    assert errors.count("\n") == 1, errors
    for word in words:
        assert str(word) in errors, errors


def no_full_mnist(where):
    """Skip a test that needs the full MNIST; in CI that is a failure."""
    message = f"needs the full MNIST in {where}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def full_mnist():
    """The folder dataset/mnist with the full MNIST in it."""
    raw = ROOT / "dataset" / "mnist" / "MNIST" / "raw"
    archives = [raw / name for name, _ in ARCHIVES]
    if not all(a.exists() or a.with_suffix("").exists() for a in archives):
        no_full_mnist(raw)
    return ROOT / "dataset" / "mnist"


@pytest.fixture(scope="session")
def archives():
    """The folder with the four archives of MNIST, as a mirror serves them."""
    shared = ROOT.parent / "shared" / "mnist"
    raw = ROOT / "dataset" / "mnist" / "MNIST" / "raw"
    for folder in (shared, raw):
        if all((folder / name).exists() for name, _ in ARCHIVES):
            return folder
    return no_full_mnist(f"{shared} or {raw}, as .gz files")


@pytest.fixture(scope="session")
def sample():
    """The sample as the scripts read it: [(images, labels) to train, to test]."""
    import resnet_mnist

    return resnet_mnist.read_sample()


@pytest.fixture(scope="session")
def tiny_mnist(sample, tmp_path_factory):
    """A folder with 320 digits to train and 100 to test, in the format of MNIST."""
    folder = tmp_path_factory.mktemp("tiny")
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, (images, labels), step in zip(
        ("train", "t10k"), sample, (4000 // 320, 10), strict=True
    ):
        size = 320 if split == "train" else 100
        images, labels = images[::step][:size], labels[::step][:size]
        head = bytes.fromhex("00000803") + size.to_bytes(4) + bytes([0, 0, 0, 28] * 2)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(
            head + images.numpy().tobytes()
        )
        head = bytes.fromhex("00000801") + size.to_bytes(4)
        content = head + labels.byte().numpy().tobytes()
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(content)
    return folder


@contextmanager
def mirror(answer):
    """Serve on 127.0.0.1 as a proxy; yield its address.

    `answer(request)` handles each GET for one of MNIST's archives. The https mirror is
    refused, so that torchvision goes on to its http mirror.
    """
    stop = Event()

    class Handler(BaseHTTPRequestHandler):
        stopped = stop

        def do_CONNECT(self):
            self.send_error(403)

        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


def send(request, content, part=1.0):
    """Answer a request with `content`, or break off after a part of it."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[: int(len(content) * part)])


def archive_of(request, folder):
    """The archive that a request asks for, from `folder`."""
    return (folder / request.path.rpartition("/")[2]).read_bytes()
