"""One file per target format: `openvino` converts, `keep_as_is` publishes what needs no conversion."""
