"""Runs ministack behind the check of hosts: `.local/ministack/bin/python -m local.ministack`.

ministack requires no signature for its own paths; POST /_ministack/reset deletes everything in it.
"""

import ministack.app as server

from local.hosts import LoopbackOnly

server.app = LoopbackOnly(server.app)
server.main()
