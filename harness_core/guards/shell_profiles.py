"""Which programs a command may name, by profile, and which are refused whatever the profile says."""

from __future__ import annotations

from collections.abc import Mapping

from harness_core.guards import GuardContext
from harness_core.guards.shell_words import name_set

QUICKSTART = name_set("ls cat head tail wc grep cp mkdir chmod pwd npm node git ps lsof sleep pkill init.sh")

BUILTINS = name_set(
    "[ [[ : . bg break builtin cd command continue declare dirs disown echo exec exit export false fg getopts"
    " hash jobs kill let local mapfile popd printf pushd pwd read readarray readonly "
    "return set shift shopt source"
    " test times trap true type typeset ulimit umask unset wait history help"
)
INSPECTION = name_set(
    "ls ll cat bat head tail less more wc grep egrep fgrep rg ag ack find fd fdfind tree "
    "file stat du df diff cmp comm"
    " sort uniq cut tr paste join column nl tac rev fold fmt expand unexpand od xxd "
    "hexdump strings awk gawk mawk nawk"
    " sed jq yq xq basename dirname realpath readlink pwd which whereis whoami id groups "
    "uname hostname date cal uptime"
    " free nproc arch ps pgrep top htop lsof ss netstat fuser md5sum sha1sum sha256sum "
    "sha512sum shasum cksum b2sum base64"
    " seq shuf yes sleep true false test expr bc dc numfmt getconf locale tput clear "
    "printenv env tty stty look man info"
    " dos2unix unix2dos iconv xmllint xsltproc tokei cloc scc identify exiftool hyperfine ffprobe "
    "pdftotext pdfinfo otool ldd nm"
    " objdump readelf size sw_vers lscpu lsblk vmstat iostat pstree watch time envsubst "
    "sponge gettext split csplit"
    " sqlfluff tsort zcat zgrep bzcat xzcat zipinfo lsb_release ip ifconfig uuidgen cmark tesseract"
    " jo gron delta difft hexyl eza exa lsd dust procs mlr csvcut csvstat csvlook csvgrep in2csv"
)
FILES = name_set(
    "cp mv rm rmdir mkdir touch ln chmod install tee truncate mktemp rsync dd tar zip "
    "unzip gzip gunzip bzip2 bunzip2"
    " xz unxz zstd unzstd 7z unlink patch shred mkfifo"
)
WRAPPING = name_set("env nohup timeout gtimeout time nice ionice setsid stdbuf xargs unbuffer xvfb-run")
BUILDING = name_set(
    "make gmake cmake ctest cpack ninja meson bazel bazelisk buck just task rake ant "
    "gradle mvn sbt lein mill gcc g++ cc c++ clang clang++"
    " ld ar ranlib strip as rustc cargo rustup go gofmt goimports javac java jar kotlinc "
    "kotlin scalac scala dotnet msbuild"
    " swift swiftc xcodebuild ghc cabal stack ocaml dune opam zig nim crystal dart "
    "flutter elixir mix iex erl rebar3 gleam"
    " maturin cython pyinstaller conan vcpkg xmake scons ccache valgrind gprof doxygen ctags"
    " runghc runhaskell hpack jshell javap javadoc jdeps jlink erlc escript ocamlfind mage air wire swag"
    " stringer rustdoc cpp objcopy guard yard vite-node esno ncc electron electron-builder elm purs spago"
    " wat2wasm wasm2wat inkscape qpdf pdftoppm pyftsubset"
    " pkg-config autoconf automake autoreconf libtool configure protoc buf wasm-pack "
    "wasm-opt emcc tsc esbuild webpack"
    " rollup vite next nuxt astro parcel turbo nx lerna swc babel sass lessc postcss "
    "tailwindcss hugo jekyll mkdocs"
    " sphinx-build pandoc convert magick compare composite ffmpeg dot mmdc"
    " svgo montage cwebp optipng pngquant"
    " jpegoptim rsvg-convert typst latexmk pdflatex xelatex asciidoctor plantuml jsonnet cue"
    " terser uglifyjs cleancss html-minifier gulp grunt tsup unbuild rspack rsbuild vue-tsc svelte-check"
    " nest expo ng gatsby remix ember quasar storybook sb templ sqlc mockgen ginkgo trunk wasm-bindgen"
    " gfortran nasm yasm lcov gcov gcovr shards nimble octave scala-cli clj clojure"
    " cbindgen bindgen tree-sitter antlr4 flex bison diesel sqlx goose dbmate flyway liquibase"
)
CHECKING = name_set(
    "eslint prettier biome stylelint oxlint tslint standard xo ruff black isort flake8 "
    "pylint mypy pyright pyre bandit"
    " clang-format clang-tidy rustfmt golangci-lint staticcheck rubocop standardrb "
    "shellcheck shfmt hadolint yamllint"
    " markdownlint ktlint checkstyle scalafmt php-cs-fixer phpcs phpstan psalm dprint "
    "autopep8 yapf pre-commit detekt"
    " swiftlint swiftformat ktfmt google-java-format hlint ormolu fourmolu ocamlformat pint rector"
    " taplo typos basedpyright pytype pyflakes pycodestyle interrogate"
    " pip-audit safety semgrep gitleaks detect-secrets brakeman reek gofumpt govulncheck gosec revive"
    " errcheck luacheck stylua selene vale alex spectral redocly eslint_d nixfmt"
    " cppcheck vulture pydocstyle codespell actionlint tflint djlint sqlfluff commitlint "
    "lint-staged depcheck madge"
)
TESTING = name_set(
    "pytest py.test tox nox coverage jest vitest mocha ava tap cypress playwright karma "
    "jasmine phpunit pest rspec"
    " nose2 mutmut stryker wdio testcafe nightwatch busted shellspec kcov"
    " cucumber behave robot c8 nyc nodemon lighthouse newman k6 gotestsum nextest bats"
    " wait-on chromium chromium-browser google-chrome google-chrome-stable firefox Xvfb scrot"
)
PACKAGING = name_set(
    "npm npx pnpm pnpx yarn bun bunx corepack pip pip3 pipx pipenv poetry pdm uv uvx "
    "hatch rye conda mamba micromamba"
    " gem bundle bundler composer brew apt apt-get dpkg apk yum dnf nvm fnm volta asdf "
    "mise pyenv rbenv virtualenv nix"
    " luarocks"
    " npm-run-all concurrently cross-env dotenv husky changeset node-gyp easy_install"
)
RUNTIMES = name_set(
    "node nodejs deno python python2 python3 ruby perl php lua luajit Rscript R julia "
    "bash sh zsh dash tsx ts-node ipython"
    " jupyter uvicorn gunicorn hypercorn flask django-admin fastapi celery streamlit "
    "rails puma rackup irb php-fpm"
    " http-server serve live-server json-server alembic prisma drizzle-kit sequelize knex typeorm artisan pm2"
)
DATABASES = name_set(
    "sqlite3 psql pg_dump pg_restore pg_isready createdb dropdb createuser dropuser initdb pg_ctl mysql "
    "mysqldump mysqladmin mariadb redis-cli"
    " memcached mailpit meilisearch minio"
    " redis-server mongosh mongo mongodump mongod duckdb cqlsh influx clickhouse-client"
)
CONTAINERS = name_set("docker docker-compose podman podman-compose buildah colima")
OTHER = name_set(
    "git curl wget http httpie grpcurl ab hey wrk siege oha autocannon"
    " pkill killall adb init.sh gradlew mvnw openssl mkcert"
)

DEVELOPER = (
    BUILTINS
    | INSPECTION
    | FILES
    | WRAPPING
    | BUILDING
    | CHECKING
    | TESTING
    | PACKAGING
    | RUNTIMES
    | DATABASES
    | CONTAINERS
    | OTHER
)

PROFILES: Mapping[str, frozenset[str] | None] = {
    "quickstart": QUICKSTART,
    "developer": DEVELOPER,
    "open": None,
}
"""The allowlist of each profile; None allows every program that nothing below forbids."""

_PRIVILEGE = "it acts with other rights than the run's. Do without, or ask the operator"
_MACHINE = "it changes the machine, not the project. Ask the operator"
_NETWORK = "it talks to other hosts. Work with what is in the run; package managers and loopback are open"
_HARNESS = "the harness is the operator's to command. Report what you need in your notes instead"
_HIDDEN = "what it runs can't be told beforehand. Write the command out plainly"
_EDITOR = "it is interactive. Use the Edit tool"

FORBIDDEN: Mapping[str, str] = {
    **dict.fromkeys(
        name_set(
            "sudo su doas pkexec runuser setpriv chroot unshare nsenter capsh newgrp sg "
            "setcap passwd chpasswd"
        ),
        _PRIVILEGE,
    ),
    **dict.fromkeys(
        name_set("useradd usermod userdel groupadd visudo chown chgrp setfacl chattr"), _PRIVILEGE
    ),
    **dict.fromkeys(
        name_set(
            "shutdown reboot halt poweroff init telinit systemctl service launchctl mount umount swapoff"
        ),
        _MACHINE,
    ),
    **dict.fromkeys(
        name_set(
            "mkfs fdisk parted sfdisk wipefs mkswap losetup modprobe insmod rmmod sysctl "
            "iptables nft crontab at batch"
        ),
        _MACHINE,
    ),
    **dict.fromkeys(
        name_set(
            "nc ncat netcat socat telnet ssh scp sftp ftp lftp tftp rlogin rsh "
            "ssh-copy-id sshfs rclone aria2c axel"
        ),
        _NETWORK,
    ),
    **dict.fromkeys(
        name_set(
            "mail sendmail mutt nmap tcpdump ngrok cloudflared localtunnel gh glab hub "
            "aws gcloud az kubectl helm"
        ),
        _NETWORK,
    ),
    **dict.fromkeys(
        name_set(
            "heroku vercel netlify fly flyctl wrangler firebase doctl terraform pulumi "
            "ansible twine vsce s3cmd gsutil"
        ),
        _NETWORK,
    ),
    **dict.fromkeys(name_set("longwatch claude claude-code"), _HARNESS),
    **dict.fromkeys(
        name_set(
            "eval coproc alias enable bind complete compgen fc parallel entr script expect ld.so memfd_create"
        ),
        _HIDDEN,
    ),
    **dict.fromkeys(
        name_set("vi vim nvim nano emacs ed ex pico joe code gdb lldb strace ltrace screen tmux"), _EDITOR
    ),
    **dict.fromkeys(
        name_set("ssh-add ssh-agent ssh-keygen gpg gpg2 pass security keyctl secret-tool"),
        "it handles credentials. Ask the operator",
    ),
}
"""Programs that no profile allows, with the reason and what to do instead."""
FORBIDDEN_PREFIXES = ("mkfs.", "ld-linux")

READING = name_set(
    "ls ll cat bat head tail less more wc grep egrep fgrep rg ag find fd tree file stat "
    "du df diff cmp comm sort uniq cut tr"
    " paste join column nl tac rev fold od xxd hexdump strings awk gawk sed jq yq "
    "basename dirname realpath readlink pwd"
    " which whoami id uname hostname date ps pgrep lsof ss netstat md5sum sha1sum "
    "sha256sum cksum base64 seq sleep true"
    " false test expr bc nproc echo printf cd [ : . command type read export set local "
    "declare unset exit return wait jobs"
    " git curl timeout env nohup time nice xargs bash sh shift break continue printenv "
    "tokei cloc identify watch"
)
"""What a role that only reads may run."""


def program_problem(name: str, ctx: GuardContext) -> str | None:
    """Why the program may not be run at all, or None."""
    if name in ctx.deny:
        return f"`{name}` is taken out of this run's allowlist. Use another program, or ask the operator."
    if ctx.read_only and name not in READING:
        return (
            f"`{name}` isn't among the reading commands, and this role changes nothing. Use "
            "Read, Grep or git log."
        )
    if name in ctx.allow:
        return None
    reason = FORBIDDEN.get(name)
    if reason is None and name.startswith(FORBIDDEN_PREFIXES):
        reason = _MACHINE
    if reason:
        return f"`{name}`: {reason}."
    allowed = PROFILES.get(ctx.profile, QUICKSTART)
    if allowed is not None and name not in allowed:
        return (
            f"`{name}` isn't on the allowlist of the profile {ctx.profile!r}. Use a tool "
            "that is, one of the project's "
            "own scripts through its package manager, or ask the operator to allow it."
        )
    return None


def is_known(name: str) -> bool:
    """Whether any profile gives the name a meaning, so that no function may take it."""
    return name in DEVELOPER or name in FORBIDDEN
