# Entry points of this project: `just` lists them. Recipes only call scripts and cargo; HACKING.md explains them.
# Install just with `cargo install just`, `apt install just` (Debian 13) or `pip install rust-just`.

program := "target/release/bridgeclip"

[private]
list:
    @just --list --unsorted

# Build the program: target/release/bridgeclip
[group('work')]
build *ARGS:
    cargo build --release --locked {{ ARGS }}

# Classify sample photos as a device does, without a network
[group('work')]
demo *ARGS:
    cargo run --release --locked -- demo {{ ARGS }}

# Format, then compile everything with all lints, without running anything
[group('work')]
lint:
    cargo fmt --all
    cargo clippy --release --workspace --all-targets --locked -- -D warnings

# Run unit and integration tests; those whose programs are not installed are left out and named
[group('test')]
test *ARGS:
    cargo test --release --workspace --locked {{ ARGS }}

# Run the unit tests of one crate: just unit journal [NAME]
[group('test')]
unit CRATE *NAME:
    cargo test --release --locked --lib --package bridgeclip-{{ CRATE }} {{ NAME }}

# Run the integration tests whose names contain NAME: just one export::
[group('test')]
one NAME *ARGS:
    cargo test --release --locked --test main -- {{ NAME }} {{ ARGS }}

# Install what the tests need from Debian, and run every check
[group('test')]
check:
    tests/check

# Do what CI does: check, the demo, 64-bit ARM and the Python project
[group('test')]
ci:
    .ci/run

# Drive the field page in Chromium; screenshots in target/page
[group('test')]
page *ARGS: build
    tests/page/run {{ program }} {{ ARGS }}

# Make the README's pictures again
[group('test')]
images: build
    tests/page/run {{ program }} --images docs/images

# Cut the device's power at hundreds of moments, as root: just power-cuts --states 1000
[group('test')]
power-cuts *ARGS: build
    tests/power_cuts/run {{ program }} {{ ARGS }}

# Fill workbooks of twelve kinds and compare them with openpyxl and LibreOffice: just workbooks [--keep FOLDER]
[group('test')]
workbooks *ARGS:
    tests/workbook/run {{ ARGS }}

# Run the fuzz targets, or one of them: just fuzz photo 600
[group('test')]
fuzz *ARGS:
    fuzz/run {{ ARGS }}

# Run the kernels' tests under AddressSanitizer
[group('test')]
sanitize:
    tests/sanitize

# Test the central broker, its certificates and its access list
[group('test')]
central:
    tests/central

# Check licences, sources and refused crates; `just supply-chain advisories` adds known vulnerabilities
[group('test')]
supply-chain *ARGS:
    tests/supply-chain {{ ARGS }}

# Test the Python project that makes model packages
[group('test')]
models:
    models/check

# Build or test for 64-bit ARM: just cross build|kernels|test|demo|all
[group('test')]
cross *ARGS:
    cross/aarch64-unknown-linux-gnu {{ ARGS }}

# Build or run the demo for 32-bit ARM: just cross-armv7 build|demo
[group('test')]
cross-armv7 *ARGS:
    cross/armv7-unknown-linux-gnueabihf {{ ARGS }}

# Measure this engine beside others: just bench-peers encoder|search|photo
[group('measure')]
bench-peers *ARGS:
    benches/peers/run {{ ARGS }}

# Hold the decoder of TIFF to libtiff's pixels: just compare-tiff [--verbose]
[group('measure')]
compare-tiff *ARGS:
    benches/tiff/matrix {{ ARGS }}

# Compare the decoder with Pillow over damaged JPEGs: just compare-jpeg [--count N]
[group('measure')]
compare-jpeg *ARGS:
    benches/jpeg/mutations {{ ARGS }}

# Measure the daemon's start, memory and idle cost: just bench-device PACKAGE PHOTO
[group('measure')]
bench-device PACKAGE PHOTO *ARGS: build
    benches/device/run {{ program }} {{ PACKAGE }} {{ PHOTO }} {{ ARGS }}

# Measure what open pages cost while photos are classified: just bench-clients PACKAGE PHOTO
[group('measure')]
bench-clients *ARGS: build
    benches/device/clients {{ program }} {{ ARGS }}

# Compare the metadata that this program reads with exiftool's: just bench-metadata FOLDER
[group('measure')]
bench-metadata FOLDER *ARGS:
    benches/metadata/compare {{ FOLDER }} {{ ARGS }}

# Run the published code beside this program and compare the answers: just compare-author CHECKOUT
[group('measure')]
compare-author CHECKOUT *ARGS: build
    benches/author/compare {{ CHECKOUT }} {{ ARGS }}

# Measure what suggested labels are worth against drawn ones: just bench-suggested PROFILE
[group('measure')]
bench-suggested PROFILE *ARGS: build
    benches/answers/suggested {{ program }} {{ PROFILE }} {{ ARGS }}

# Measure the rules, members' answers and prediction sets on many profiles: just bench-rules RESULTS
[group('measure')]
bench-rules RESULTS *ARGS: build
    benches/answers/rules {{ program }} {{ RESULTS }} {{ ARGS }}

# Count the ARM instructions of one photo under emulation
[group('measure')]
bench-instructions PACKAGE:
    benches/instructions/run {{ PACKAGE }}

# Compare the ARM kernels' inner loops with a core's peak, in LLVM's models
[group('measure')]
bench-mca:
    benches/instructions/mca

# Build the program as it is shipped, for this machine or an ARM TARGET
[group('ship')]
release *TARGET:
    deploy/build-release {{ TARGET }}

# Build what is shipped in two folders and compare every byte
[group('ship')]
reproducible *TARGET:
    tests/reproducible {{ TARGET }}

# Make the Debian package: just deb amd64 target/release/bridgeclip target/deb
[group('ship')]
deb ARCH BINARY OUT *NATIVE:
    deploy/deb/build {{ ARCH }} {{ BINARY }} {{ OUT }} {{ NATIVE }}

# Install, run, remove and purge a Debian package in a clean Debian 12, as root
[group('ship')]
deb-test *ARGS:
    tests/deb {{ ARGS }}

# Draw the Excel templates of deploy/forms again
[group('ship')]
forms:
    deploy/forms/make

# Print the bill of materials of a TARGET (CycloneDX)
[group('ship')]
sbom *TARGET:
    deploy/sbom {{ TARGET }}

# Write the documentation of all crates' interfaces to target/doc
[group('work')]
docs *ARGS:
    cargo doc --workspace --no-deps --locked {{ ARGS }}

# Make the guide as a web site (needs mdbook): target/guide
[group('work')]
guide:
    mdbook build docs/guide --dest-dir ../../target/guide
