import sys

try:  # so that Ctrl-C ends the imports, which take a second, as quietly as the rest
    from local.cli import main

    status = main()
except KeyboardInterrupt:
    status = 130
sys.exit(status)
