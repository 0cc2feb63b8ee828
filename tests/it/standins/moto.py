# moto, one request at a time: its transactions copy tables and put the copies back, which loses what others wrote meanwhile.
import sys

from moto.server import DomainDispatcherApplication, create_backend_app, run_simple

run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
