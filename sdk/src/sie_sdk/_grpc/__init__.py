"""gRPC, from descriptors that are generated from the contract."""
