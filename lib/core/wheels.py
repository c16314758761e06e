"""Install wheels that Kaggle's image lacks from an attached dataset: the pinned bytes or nothing, without network."""

import hashlib
import importlib
import importlib.metadata
import os
import pkgutil
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib.core.errors import BadInput, shorten
from lib.core.paths import folders_below, kaggle_root
from lib.core.pinned_wheels import PINNED_WHEELS

_DEPTH = 4  # input/datasets/<owner>/<slug>/<folder>
_FILE_NAME = re.compile(r"([^-]+)-([^-]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl")
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


@dataclass(frozen=True)
class Wheel:
    """A wheel file and the parts of its name; the three tags may each name several, with dots between."""

    path: Path
    package: str
    version: str
    python: str
    abi: str
    platform: str

    @property
    def tag(self) -> str:
        """The compatibility tag, as pip writes it."""
        return f"{self.python}-{self.abi}-{self.platform}"


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that wheels must fit: Python's version, the processor, and the version of the C library."""

    python: tuple[int, int]
    machine: str
    glibc: tuple[int, ...]

    @property
    def tag(self) -> str:
        """The tags that fit this interpreter, for people."""
        cp = f"cp{self.python[0]}{self.python[1]}"
        libc = "_".join(map(str, self.glibc)) or "(no glibc)"
        return f"{cp}-{cp} (or abi3, or py3-none) for manylinux up to {libc}, {self.machine}"

    def fits(self, wheel: Wheel) -> bool:
        """True when one of the wheel's Python tags, its ABI and one of its platforms suit this interpreter."""
        return self._fits_python(wheel) and any(map(self._fits_platform, wheel.platform.split(".")))

    def _fits_python(self, wheel: Wheel) -> bool:
        major, minor = self.python
        own, abis = f"cp{major}{minor}", wheel.abi.split(".")
        for tag in wheel.python.split("."):
            if tag == own and {own, "abi3", "none"} & set(abis):
                return True
            if tag in (f"py{major}", f"py{major}{minor}") and "none" in abis:
                return True
            if (older := re.fullmatch(rf"cp{major}(\d+)", tag)) and "abi3" in abis and int(older[1]) <= minor:
                return True
        return False

    def _fits_platform(self, platform_tag: str) -> bool:
        if platform_tag in ("any", f"linux_{self.machine}"):
            return True
        family, _, machine = platform_tag.partition("_")
        if newer := re.fullmatch(r"manylinux_(\d+)_(\d+)_(.+)", platform_tag):
            return newer[3] == self.machine and (int(newer[1]), int(newer[2])) <= self.glibc
        return family in _OLD_MANYLINUX and machine == self.machine and _OLD_MANYLINUX[family] <= self.glibc


def ensure(package: str, minimum: str = "") -> str:
    """Install the package from a pinned wheel, unless it is installed; return a sentence that names its source."""
    module = package.replace("-", "_")
    version = _installed(module)
    if version and _numbers(version) >= _numbers(minimum):
        return f"{package} {version} is installed"
    wheel = _newest_usable(package, minimum, version)
    _install(wheel)
    _check_import(module, wheel)
    return f"{package} {wheel.version} installed from {wheel.path.parent}"


def parse_wheel_name(path: Path) -> Wheel | None:
    """The wheel of this file name, or None when it is not named like one: package-version-python-abi-platform.whl."""
    parts = _FILE_NAME.fullmatch(path.name)
    return Wheel(path, *parts.groups()) if parts else None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, all 64 digits, as package indexes give it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def running_interpreter() -> Interpreter:
    """The interpreter that is running."""
    libc, version = platform.libc_ver()
    return Interpreter(sys.version_info[:2], platform.machine(), _numbers(version) if libc == "glibc" else ())


def _installed(module: str) -> str | None:
    """The version of the distribution that provides this module, or None; nothing is imported for it."""
    distributions = importlib.metadata.packages_distributions().get(module)
    return importlib.metadata.version(distributions[0]) if distributions else None


def _numbers(version: str) -> tuple[int, ...]:
    """The version's leading numbers: (1, 24, 4) of 1.24.4, (1, 25, 0) of 1.25.0rc1."""
    leading = re.split(r"[^\d.]", version, maxsplit=1)[0]
    return tuple(int(number) for number in re.findall(r"\d+", leading))


def _newest_usable(package: str, minimum: str, installed: str | None) -> Wheel:
    """The newest usable wheel of the package, a release before its own release candidates; none is an error."""
    inputs = kaggle_root() / "input"
    searched = list(folders_below(inputs, _DEPTH)) if inputs.is_dir() else []
    faults = {path: _fault(path, package, minimum) for folder in searched for path in sorted(folder.glob("*.whl"))}
    usable = [wheel for path, fault in faults.items() if not fault and (wheel := parse_wheel_name(path))]
    if not usable:
        required = f"{package} {minimum} or newer" if minimum else package
        raise BadInput(
            f"{required} is neither installed ({installed or 'none'} is) nor attached as a wheel that may be installed",
            expected=f"a wheel for {running_interpreter().tag}, byte for byte as lib/core/pinned_wheels.py names it",
            got=f"wheels: {', '.join(f'{path} ({fault})' for path, fault in faults.items()) or 'none'}; "
            f"searched {inputs} and its folders " + (shorten(searched, 60) or "(there are none)"),
            do="attach the dataset pantanal-wheels (`make push-wheels` makes it); at home, run `make setup`",
        )
    return max(usable, key=lambda wheel: (_numbers(wheel.version), re.fullmatch(r"[\d.]+", wheel.version) is not None))


def _fault(path: Path, package: str, minimum: str) -> str:
    """The reason why a file is not installed for the package; empty for a pinned wheel that fits."""
    wheel = parse_wheel_name(path)
    if wheel is None or wheel.package.lower() != package.replace("-", "_").lower():
        return "another package"
    if not running_interpreter().fits(wheel):
        return "does not fit"
    if _numbers(wheel.version) < _numbers(minimum):
        return "too old"
    if path.name not in PINNED_WHEELS:
        return "not pinned"
    return "" if path.is_file() and sha256_of(path) == PINNED_WHEELS[path.name] else "not the pinned bytes"


def _install(wheel: Wheel) -> None:
    """Put the wheel's files into a temporary folder, first on the path of this process and of its children."""
    target = tempfile.mkdtemp(prefix="wheel_")
    quietly = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [sys.executable, "-m", "pip", "install", *quietly, "--target", target, str(wheel.path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BadInput(
            f"{wheel.path} could not be installed",
            expected="pip's exit status 0",
            got=f"{done.returncode}: " + "\n".join(done.stdout.splitlines()[-8:]),
            do="make the dataset again with `make push-wheels`",
        )
    sys.path.insert(0, target)
    os.environ["PYTHONPATH"] = os.pathsep.join([target, *filter(None, [os.environ.get("PYTHONPATH")])])
    importlib.invalidate_caches()


def _check_import(module: str, wheel: Wheel) -> None:
    """Import the installed module; a failure, or another copy that was imported before, is an error."""
    try:
        imported = Path(pkgutil.resolve_name(module).__file__)  # not import_module: the build follows that into lib
    except ImportError as error:
        raise BadInput(
            f"{module} of {wheel.path.name} cannot be imported",
            expected="a wheel whose own dependencies are in Kaggle's image",
            got=error,
            do="attach a wheel of another version, or wheels of its dependencies",
        ) from error
    if not imported.is_relative_to(sys.path[0]):
        raise BadInput(
            f"another {module} was imported before the wheel was installed",
            expected=f"the one in {sys.path[0]}",
            got=imported,
            do="restart the kernel, and call `ensure` before anything imports the package",
        )
