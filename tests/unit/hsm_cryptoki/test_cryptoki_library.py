"""Loading a library, or saying why not."""

import shutil
import subprocess

import _cffi_backend
import pytest

from strongroom.hsm.cryptoki import (
    GeneralError,
    MechanismFlag,
    Module,
    ModuleLoadError,
    OperationCancelFailedError,
    ParameterError,
)

# Places in CK_FUNCTION_LIST_3_2, counted from C_Initialize = 0.
STUB = r"""
#include <stddef.h>
struct list { unsigned char version[2]; void *functions[104]; };
struct interface { const char *name; void *list; unsigned long flags; };
static unsigned long ok(void) { return 0; }
static unsigned long initialize(void **arguments) { return (unsigned long)arguments[4] == 2 ? INITIALIZED : 7; }
static unsigned long cancel(unsigned long session, unsigned long flags)
{ return session == 7 && flags == 0x100 ? 0x202 : 5; }
static struct list functions = {{MAJOR, MINOR}};
static struct interface offered = {"PKCS 11", &functions, 0};
static void fill(void)
{
  functions.functions[0] = initialize;  /* C_Initialize */
  functions.functions[1] = ok;          /* C_Finalize */
  if (MAJOR == 3) functions.functions[71] = cancel; /* C_SessionCancel */
  if (MAJOR == 3 && MINOR == 2) functions.functions[102] = ok; /* C_WrapKeyAuthenticated */
}
unsigned long C_GetFunctionList(void **list)
{ fill(); *list = MAJOR == 3 ? NULL : &functions; return 0; }
#if MAJOR == 3
unsigned long C_GetInterface(const char *name, unsigned char *version, struct interface **out, unsigned long flags)
{ fill(); if (version[0] != MAJOR || version[1] != MINOR) return 7; *out = &offered; return 0; }
#endif
"""


@pytest.fixture
def stub(tmp_path):
    """Compile a module of a given version."""
    compiler = shutil.which("cc") or pytest.skip("a C compiler is missing")

    def compiled(major, minor, *, initialized=0):
        source, library = tmp_path / "stub.c", tmp_path / f"stub-{major}-{minor}.so"
        source.write_text(STUB)
        defines = [f"-DMAJOR={major}", f"-DMINOR={minor}", f"-DINITIALIZED={initialized}"]
        subprocess.run([compiler, "-shared", "-fPIC", "-w", *defines, "-o", library, source], check=True)
        return str(library)

    return compiled


@pytest.mark.parametrize(
    ("version", "cancels", "wraps"),
    [((2, 40), False, False), ((3, 0), True, False), ((3, 1), True, False), ((3, 2), True, True)],
)
def test_the_functions_of_each_version_are_found_in_their_places(stub, version, cancels, wraps):
    module = Module.load(stub(*version))
    assert module.has_function("C_Initialize")
    assert not module.has_function("C_Login")
    assert module.has_function("C_SessionCancel") is cancels
    assert module.has_function("C_WrapKeyAuthenticated") is wraps
    if cancels:
        with pytest.raises(OperationCancelFailedError):
            module.session_cancel(7, MechanismFlag.ENCRYPT)
    module.finalize()


def test_what_c_initialize_returns_is_raised(stub):
    with pytest.raises(GeneralError, match="C_Initialize"):
        Module.load(stub(2, 40, initialized=5))


def test_a_module_of_another_age_is_refused(stub):
    with pytest.raises(ModuleLoadError, match="version 2 or 3"):
        Module.load(stub(1, 0))


@pytest.mark.parametrize("path", ["", "libsofthsm2.so", "./x.so", "/nowhere/x.so", "/tmp", "/tmp/\x00.so"])
def test_a_path_that_names_no_file_is_refused(path):
    with pytest.raises(ModuleLoadError) as raised:
        Module.load(path)
    assert raised.value.ckr is None
    assert raised.value.next_step


def test_a_file_that_is_no_library_is_refused(tmp_path):
    text = tmp_path / "module.so"
    text.write_text("not a library")
    with pytest.raises(ModuleLoadError, match="cannot be loaded"):
        Module.load(str(text))


def test_a_library_that_is_no_module_is_refused():
    with pytest.raises(ModuleLoadError, match="not a PKCS#11 module"):
        Module.load(_cffi_backend.__file__)


def test_a_parameter_string_with_a_zero_byte_is_refused(stub):
    with pytest.raises(ParameterError):
        Module.load(stub(2, 40), library_parameters="configdir=\x00")
