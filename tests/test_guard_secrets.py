"""The secrets guard: credentials are refused with file and line, and what only looks like one isn't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core.guards import Denial, GuardContext, ToolCall
from harness_core.guards.secrets import check
from harness_core.secrets.redact import HIDDEN, Redactor
from harness_core.secrets.scan import scan

GITHUB = "ghp_" + "aB3x9Kq2Zy" * 4
NOWHERE = Path("/srv/somebody/tests/run")
SEEN = "9Kq2Zy8LmP4vT7wX"
CREDENTIALS = [
    ("src/config.py", "AWS_ACCESS_KEY_ID='AKIAIOSFODNN7EXAMPLE'"),
    ("src/config.py", "AWS_SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY'"),
    ("src/a.js", f"const key = 'sk-ant-api03-{SEEN * 3}'"),
    (".env", f"OPENAI_API_KEY=sk-proj-{SEEN * 4}"),
    (".env", f"STRIPE_SECRET_KEY=sk_live_{SEEN * 2}"),
    ("deploy.sh", f"export GITHUB_TOKEN={GITHUB}"),
    ("deploy.sh", "curl https://hooks.slack.com/services/" + "T00000001/B00000001/aBcDeFgHiJkLmNoPqRsTuVwX"),
    ("src/slack.py", "TOKEN = 'xoxb-" + "123456789012-123456789012-aBcDeFgHiJkLmNoPqRsTuVwX'"),
    ("key.pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx3Zk\n-----END RSA PRIVATE KEY-----"),
    ("a.js", "const k = `-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0\\n-----END PRIVATE KEY-----`"),
    ("src/db.py", "url = 'postgres://admin:Xk29_fjQw81z@db.prod.acme.io:5432/app'"),
    ("src/settings.py", "DB_PASSWORD = 'f8Kq29xLmZ0pWvR3'"),
    ("src/settings.py", 'api_key = "9f86d081884c7d659a2feaa0c55ad015"'),
    ("src/settings.py", "password = 'Xk29!fjQw81z'"),
    ("config.yml", "password: x9Kq2Zy8LmP4vT7w"),
    ("docker-compose.yml", "      POSTGRES_PASSWORD: Xk29fjQw81zPp4"),
    (".npmrc", "//registry.example.org/:_authToken=npm_" + "aB3x9K" * 6),
    (".env", "JWT_SECRET=kT9xQ2mZpL4vR8wN3bH7cY5dF1gJ6sA0"),
    ("src/tg.py", f"BOT='123456789:AA{SEEN * 2}a'"),
    (
        "src/jwt.js",
        f"const t='eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY21lLXByb2QiLCJyb2xlIjoiYWRtaW4ifQ.{SEEN * 2}'",
    ),
]
HARMLESS = [
    ("src/a.js", "const id = '3f2504e0-4f89-11d3-9a0c-0305e82c3301';"),
    ("src/a.js", "const apiKey = process.env.API_KEY;\nif (!apiKey) throw new Error('API_KEY missing');"),
    ("src/a.js", "const token = req.headers.authorization?.split(' ')[1];"),
    ("src/a.py", "api_key = os.environ['OPENAI_API_KEY']\npassword = getpass.getpass()"),
    ("src/a.py", "SECRET_KEY = 'django-insecure-9$k2x@f8(z!p4vT7waB3x9Kq2Zy8LmP4+q'"),
    ("src/a.py", "API_KEY_HEADER = 'X-API-Key-2024-Version'\nCACHE_KEY = 'user:profile:v2:2024'"),
    (
        ".env.example",
        "API_KEY=your-api-key-here\nSECRET=changeme\nANTHROPIC_API_KEY=sk-ant-xxxxxxxxxxxxxxxxxxxx",
    ),
    (".env", "DATABASE_URL=postgres://postgres:postgres@db:5432/app\nSESSION_SECRET=dev-secret"),
    ("docker-compose.yml", "  POSTGRES_PASSWORD: postgres\n  SECRET_KEY: ${SECRET_KEY}"),
    ("package-lock.json", f'"integrity": "sha512-{SEEN * 4}=="'),
    ("yarn.lock", f"token sk_live_{SEEN * 2}"),
    ("src/hash.js", "const sha = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';"),
    ("src/img.js", f"export const logo = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{SEEN * 3}';"),
    ("tests/test_auth.py", "client.post('/login', json={'email': 'a@b.c', 'password': 'Passw0rd!'})"),
    (
        "tests/e2e/login.spec.ts",
        "await page.fill('#password', 'Test1234!');\nconst password = 'Sup3rSecret!';",
    ),
    ("src/Login.tsx", '<input type="password" name="password" id="password1" placeholder="Password" />'),
    ("src/auth.ts", "password: z.string().min(8).max(128),\n token: crypto.randomBytes(32).toString('hex'),"),
    ("prisma/seed.ts", "password: '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',"),
    ("README.md", "Set `ANTHROPIC_API_KEY=sk-ant-...` and `DB_PASSWORD=<your password>`."),
    ("src/i18n.json", '{"password": "Password", "secret_key": "Secret key 2"}'),
    ("src/pem.py", "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    pass"),
    ("src/github.ts", "const url = `https://x-access-token:${token}@github.com/${repo}`"),
    ("src/uuid.ts", "apiKey: '00000000-0000-0000-0000-000000000000'"),
    ("src/seed.sql", "INSERT INTO users(email,password) VALUES('a@b.c','password123');"),
    (".github/workflows/ci.yml", "      NPM_TOKEN: ${{ secrets.NPM_TOKEN }}"),
    (
        "feature_list.json",
        '[{"description": "User resets the password in 3 steps: token expires after 15 min"}]',
    ),
]


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path.resolve() / "run"
    (place / "src").mkdir(parents=True)
    (place / "src/a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    for words in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "a"),
        ("config", "user.email", "a@b"),
    ):
        git(place, *words)
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "one")
    return place


def judge(root: Path, tool: str, **given: object) -> Denial | None:
    return check(ToolCall(tool, given), GuardContext(root))


@pytest.mark.parametrize(("path", "text"), CREDENTIALS, ids=range(len(CREDENTIALS)))
def test_a_credential_is_refused_with_its_file_and_line(path: str, text: str) -> None:
    denial = judge(NOWHERE, "Write", file_path=f"{NOWHERE}/{path}", content=f"first\n\n{text}\n")
    assert denial is not None
    assert f"{path}, line 3, " in denial.reason


@pytest.mark.parametrize(("path", "text"), HARMLESS, ids=range(len(HARMLESS)))
def test_what_only_looks_like_one_is_written(path: str, text: str) -> None:
    assert judge(NOWHERE, "Write", file_path=f"{NOWHERE}/{path}", content=text) is None


def test_every_writing_tool_is_looked_at(root: Path) -> None:
    key = f"key = '{GITHUB}'"
    edits = [{"old_string": "one", "new_string": "1"}, {"old_string": "two = 2", "new_string": key}]
    for tool, call in {
        "MultiEdit": {"file_path": "src/a.py", "edits": edits},
        "NotebookEdit": {"notebook_path": "a.ipynb", "new_source": key},
        "mcp__filesystem__write_file": {"path": "a.py", "content": key},
        "mcp__filesystem__edit_file": {"path": "a.py", "edits": [{"oldText": "x", "newText": key}]},
    }.items():
        assert judge(root, tool, **call) is not None, tool


def test_an_edit_is_told_by_the_line_of_the_file(root: Path) -> None:
    denial = judge(root, "Edit", file_path="src/a.py", old_string="three = 3", new_string=f"key = '{GITHUB}'")
    assert denial is not None
    assert "src/a.py, line 3, " in denial.reason


def test_an_edit_beside_a_credential_that_is_there_passes(root: Path) -> None:
    before, after = f"a = 1; key = '{GITHUB}'", f"a = 2; key = '{GITHUB}'"
    assert judge(root, "Edit", file_path="src/a.py", old_string=before, new_string=after) is None


@pytest.mark.parametrize(
    "command",
    [
        "cat > src/x.py <<'E'\n# a\nAPI_KEY = 'f8Kq29xLmZ0pWvR3'\nE",
        "tee src/x.py <<E >/dev/null\nAPI_KEY = 'f8Kq29xLmZ0pWvR3'\nE",
        f"echo GITHUB_TOKEN={GITHUB} > .env",
        f"git commit --allow-empty -m 'use {GITHUB}'",
    ],
)
def test_what_a_command_types_is_looked_at(command: str, root: Path) -> None:
    assert judge(root, "Bash", command=command) is not None


@pytest.mark.parametrize(
    "command",
    [
        'curl -s localhost:3000/login -d \'{"password": "Xk29!fjQw81z"}\' > out.json',
        "python3 - <<'E'\nlogin(password='Xk29!fjQw81z')\nE",
        "npm test 2>&1 | tail -5",
    ],
)
def test_trying_the_app_is_no_writing(command: str, root: Path) -> None:
    assert judge(root, "Bash", command=command) is None


def test_a_commit_is_looked_through(root: Path) -> None:
    (root / "cfg.py").write_text(f"x = 1\n\nk = '{GITHUB}'\n")
    assert judge(root, "Bash", command="git commit -m x") is None
    for command in ("git add -A && git commit -m x", "git add . ; git commit -qm x"):
        denial = judge(root, "Bash", command=command)
        assert denial is not None
        assert "cfg.py, line 3 " in denial.reason
    git(root, "add", "cfg.py")
    assert judge(root, "Bash", command="cd src && git commit -m x") is not None


def test_what_is_committed_already_or_taken_out_is_no_reason(root: Path) -> None:
    (root / "old.py").write_text(f"k = '{GITHUB}'\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "two")
    (root / "old.py").write_text("k = None\n")
    assert judge(root, "Bash", command="git commit -am x") is None
    (root / "new.py").write_text("y = 1\n")
    assert judge(root, "Bash", command="git add -A && git commit -m x") is None


def test_a_credential_of_the_environment_is_known_by_its_value(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_KEY", "plain words for a key")
    denial = judge(root, "Write", file_path="a.txt", content="see: plain words for a key\n")
    assert denial is not None
    assert "plain words" not in denial.reason


def test_the_scanner_is_loaded_only_for_what_it_could_find() -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness_core.guards import GuardContext, ToolCall\n"
        "from harness_core.guards.secrets import check\n"
        "ctx = GuardContext(Path('/x'))\n"
        "check(ToolCall('Write', {'file_path': 'a', 'content': 'x = 1\\n' * 1000}), ctx)\n"
        "check(ToolCall('Bash', {'command': 'npm test && ls'}), ctx)\n"
        "print('detect_secrets' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("place", [0, *range(2, 10), 16, 18, 19])
def test_what_is_refused_by_its_shape_is_redacted_too(place: int) -> None:
    assert HIDDEN in Redactor({}).text(CREDENTIALS[place][1])


@given(st.text(max_size=300), st.sampled_from(["a.py", ".env", "x.yml", "tests/a.js", ""]))
def test_any_text_is_scanned(text: str, path: str) -> None:
    scan(text, path)
