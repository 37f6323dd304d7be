"""The parts of `benchmarks/gateway_cost.py`: what the gateway itself costs, with an engine that computes nothing."""
