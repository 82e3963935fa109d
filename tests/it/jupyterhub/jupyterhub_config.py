"""A hub for the tests: no proxy, one process, a database in HUB_DIR."""

import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """The tests talk to the hub's own port, so routes are only remembered."""

    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


c = get_config()  # noqa: F821 (JupyterHub defines it)
port = int(os.environ["HUB_PORT"])
c.JupyterHub.proxy_class = NoProxy
# The proxy's port: it must be named, and is never opened.
c.JupyterHub.bind_url = "http://127.0.0.1:1"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.allowed_users = {"ci-bot", "other"}
c.JupyterHub.db_url = "sqlite:///" + os.environ["HUB_DIR"] + "/jupyterhub.sqlite"
c.JupyterHub.cookie_secret = bytes(32)
c.JupyterHub.log_level = "WARN"
c.JupyterHub.services = [{"name": "rotator", "api_token": os.environ["HUB_ADMIN_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "rotator", "scopes": ["tokens", "list:users", "read:users"], "services": ["rotator"]},
]
