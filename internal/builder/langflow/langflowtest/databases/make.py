#!/usr/bin/env python3
"""Creates the databases of this folder with a real Langflow: starts it, drives its API, stops it, and removes the data that
the importer does not read.

    make.py PYTHON PORT SECRET_KEY FILE.db            an SQLite file
    make.py PYTHON PORT SECRET_KEY postgresql://...    an existing database; nothing is removed

PYTHON is the interpreter of a virtual environment with langflow-base (e2e/install-langflow.sh creates them). The script
prints as JSON the passwords and keys with which the tests sign in.

    new.db     1.13.0, key of 43 characters     new-short.db   1.13.0, short key (SHA-256)     old-short.db   1.6.8, short key (Mersenne Twister)     old.db   1.6.8, key of 43 characters
"""
import json, os, shutil, signal, sqlite3, subprocess, sys, tempfile, time, urllib.error, urllib.parse, urllib.request

python, port, secret, target = sys.argv[1:5]
old = os.path.realpath(os.path.dirname(os.path.dirname(python))).endswith("old")
base = f"http://127.0.0.1:{port}"
admin = ("admin", "Sluice-lf-1-password")
made = {"users": {"admin": admin[1]}, "keys": {}, "credentials": {}, "flows": {}}


def call(method, path, body=None, token=None, form=False):
    data, headers = None, {}
    if body is not None:
        data = urllib.parse.urlencode(body).encode() if form else json.dumps(body).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded" if form else "application/json"
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(base + "/api/v1" + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as wrong:
        sys.exit(f"{method} {path}: {wrong.code} {wrong.read()[:400]}")


def sign_in(name, password):
    return call("POST", "/login", {"username": name, "password": password}, form=True)["access_token"]


def user(name, password, active=True, signs_in=True):
    made["users"][name] = password
    uid = call("POST", "/users/", {"username": name, "password": password}, superuser)["id"]
    if active:
        call("PATCH", f"/users/{uid}", {"is_active": True}, superuser)
    return uid, sign_in(name, password) if active and signs_in else None


def key(token, name, **more):
    made["keys"][name] = call("POST", "/api_key/", {"name": name, **more}, token)["api_key"]


def credential(token, name, value, kind="Credential"):
    call("POST", "/variables/", {"name": name, "value": value, "type": kind, "default_fields": []}, token)
    if kind == "Credential":
        made["credentials"][name] = value


def flow(token, name, project=None, **more):
    body = {"name": name, "data": {"nodes": [], "edges": []}, **more}
    if project:
        body["folder_id"] = project
    made["flows"][name] = call("POST", "/flows/", body, token)["id"]


def project(token, name):
    return call("POST", "/projects/", {"name": name, "description": "", "flows_list": [], "components_list": []}, token)["id"]


# A component with a secret typed directly into the flow.
typed = {"nodes": [{"id": "m", "type": "genericNode", "position": {"x": 0, "y": 0}, "data": {"id": "m", "type": "OpenAIModel", "node": {"template": {
    "api_key": {"name": "api_key", "password": True, "load_from_db": False, "value": "sk-typed-into-the-flow", "type": "str"},
    "other": {"name": "other", "password": True, "load_from_db": True, "value": "OPENAI_API_KEY", "type": "str"}}}}}], "edges": []}


def fill():
    _, ann = user("ann", "ann walks to the harbour")
    key(ann, "ci")
    key(ann, "nightly", expires_at="2031-01-02T03:04:05Z")
    credential(ann, "OPENAI_API_KEY", "sk-openai-of-ann")
    credential(ann, "REGION", "eu-north-1", "Generic")
    flow(ann, "Support")
    marketing = project(ann, "Marketing")
    flow(ann, "Campaign", marketing, endpoint_name="campaign")
    flow(ann, "Typed", marketing, data=typed)
    # A user named by an address, with a password beyond bcrypt's 72 bytes, and a project with the name of ann's.
    _, bob = user("bob@example.com", "bob's password is a very long sentence about nothing in particular that goes on after 72 bytes")
    key(bob, "bob's")
    credential(bob, "OPENAI_API_KEY ", "sk-openai-of-bob")
    flow(bob, "Billing", project(bob, "Marketing"))
    # A name that Sluice does not accept unchanged, and a password that Unicode can write in two ways.
    _, celik = user("Çelik Ö", "\ufb01sh \u00bd \u212bngstr\u00f6m \uff21\uff22\uff23")
    flow(celik, "Çelik's")
    if old:  # 1.13 treats names that differ only in case as the same
        user("ANN", "another ann altogether")
    user("carol", "carol waits to be let in", active=False)
    dave, _ = user("dave", "dave was let go last year")
    call("PATCH", f"/users/{dave}", {"is_active": False}, superuser)
    key(superuser, "operator")
    flow(superuser, "Watch")


def wait(process):
    for _ in range(240):
        if process.poll() is not None:
            sys.exit("Langflow ended:\n" + open(log).read()[-3000:])
        try:
            if urllib.request.urlopen(base + "/health_check", timeout=2).status == 200:
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("Langflow does not answer")


def shrink(path):
    """Drops the tables that are not read, except one, because a Langflow database also has other tables. Keeps some of the
    examples, so that the tests can distinguish them."""
    c = sqlite3.connect(path)
    c.execute("PRAGMA foreign_keys=OFF")
    keep = {"user", "apikey", "variable", "folder", "flow", "file", "sso_user_profile", "alembic_version"}
    for (name,) in c.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'").fetchall():
        if name not in keep:
            c.execute(f'DELETE FROM "{name}"' if name == "message" else f'DROP TABLE "{name}"')
    c.execute("UPDATE flow SET data='{}', description='' WHERE user_id IS NULL")
    c.execute("DELETE FROM flow WHERE user_id IS NULL AND id NOT IN (SELECT id FROM flow WHERE user_id IS NULL ORDER BY id LIMIT 3)")
    c.commit()
    c.execute("PRAGMA journal_mode=DELETE")
    c.execute("PRAGMA page_size=1024")
    c.execute("VACUUM")
    c.close()


folder = tempfile.mkdtemp(prefix="langflow-")
log = os.path.join(folder, "log")
database = target if "://" in target else "sqlite:///" + os.path.join(folder, "langflow.db")
environment = {
    **{k: v for k, v in os.environ.items() if not k.startswith("LANGFLOW_")},
    "LANGFLOW_CONFIG_DIR": folder, "LANGFLOW_DATABASE_URL": database, "LANGFLOW_AUTO_LOGIN": "false", "LANGFLOW_SUPERUSER": admin[0], "LANGFLOW_SUPERUSER_PASSWORD": admin[1],
    "LANGFLOW_SECRET_KEY": secret, "LANGFLOW_RATE_LIMIT_ENABLED": "false", "LANGFLOW_OPEN_BROWSER": "false", "DO_NOT_TRACK": "true", "LANGFLOW_DO_NOT_TRACK": "true",
}
try:
    with open(log, "w") as out:
        process = subprocess.Popen([python, "-m", "langflow", "run", "--host", "127.0.0.1", "--port", port], env=environment, cwd=folder, stdout=out, stderr=out, start_new_session=True)
    try:
        wait(process)
        superuser = sign_in(*admin)
        fill()
    finally:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
        except ProcessLookupError:
            process.wait()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if "://" not in target:
        shrink(os.path.join(folder, "langflow.db"))
        shutil.copyfile(os.path.join(folder, "langflow.db"), target)
    print(json.dumps({"secret_key": secret, **made}, indent=1, ensure_ascii=False))
finally:
    shutil.rmtree(folder, ignore_errors=True)
