"""One module per subcommand: `add_arguments(parser)` and `run(args)`; the module's docstring is its help."""
