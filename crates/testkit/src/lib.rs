//! File-test runner, oracles and generators (tests only).
