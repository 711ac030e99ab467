#!/bin/sh
# Prints, as one JSON object, what must be known of a system to say what an upgrade with rpm will do to its configuration:
# the installed packages with their files in /etc, in the directories of vendors' configuration, and their configuration files
# elsewhere, what these packages ran when they came and run when they go, and what lies on disk at all these places: type, link target, MD5, SHA-256.
# No content of a file is printed. Nothing is written or installed. To be run by root, or digests of private files miss:
#
#     cargo xtask predict --print-collector | ssh root@mail sh > mail.json
#
# It needs rpm, awk, GNU find, md5sum and sha256sum. REHEARSAL_ROOT names another directory than / to look at.

collect() {
    root=${REHEARSAL_ROOT:-}
    root=${root%/}
    LC_ALL=C
    export LC_ALL
    [ "$(id -u)" = 0 ] || { echo "to be run by root: some files in /etc are readable by root only" >&2; return 2; }
    for tool in rpm awk find xargs md5sum sha256sum; do
        command -v "$tool" >/dev/null || { echo "$tool is not on this system" >&2; return 2; }
    done

    # Where configuration is that administrators or vendors write; each is looked at whole.
    covered="/etc /usr/etc /usr/lib/pam.d /usr/lib/sysctl.d /usr/lib/tmpfiles.d /usr/lib/modprobe.d /usr/lib/udev/rules.d /usr/lib/systemd/system"

    # Records end with RS, their fields are apart by US, and the items of a list begin with GS: no name or text has these.
    rs=$(printf '\036') us=$(printf '\037') gs=$(printf '\035')
    per_file="[$gs%{FILENAMES}$us%{FILEFLAGS}$us%{FILEMODES}$us%{FILESTATES}$us%{FILEDIGESTS}$us%{FILELINKTOS}]"
    scripts="$gs[%{POSTINPROG} ]$us%{POSTIN}$gs[%{POSTTRANSPROG} ]$us%{POSTTRANS}"
    scripts="$scripts$gs[%{PREUNPROG} ]$us%{PREUN}$gs[%{POSTUNPROG} ]$us%{POSTUN}[$gs%{TRIGGERSCRIPTPROG}$us%{TRIGGERSCRIPTS}]"
    package="P$us%{NAME}$us%{EPOCH}$us%{VERSION}$us%{RELEASE}$us%{ARCH}$us%{FILEDIGESTALGO}$rs"

    {
        printf 'V%s%s%s' "$us" "$(rpm --version)" "$rs"
        rpm ${root:+--root "$root"} -qa --queryformat "${package}F$per_file${rs}S$scripts$rs" || printf 'E%srpm -qa failed%s' "$us" "$rs"
        {
            for place in $covered; do
                [ ! -d "$root$place" ] || find "$root$place" -print0
            done
            # Configuration elsewhere, and what is reached through a link to a directory.
            rpm ${root:+--root "$root"} -qac | grep '^/' | sort -u | awk -v root="$root" '{ printf "%s%s%c", root, $0, 0 }'
        } | xargs -0 -r sh -c '
            find "$@" -maxdepth 0 -printf "D\037%y\037%p\037%l\036"
            find "$@" -maxdepth 0 -type f -exec md5sum -- {} + -exec sha256sum -- {} + | tr "\n" "\036"
        ' find 2>/dev/null
    } | awk -v root="$root" -v covered="$covered" '
        function replaced(text, from, to,    parts, count, i, all) {
            count = split(text, parts, from)
            all = parts[1]
            for (i = 2; i <= count; i++) all = all to parts[i]
            return all
        }
        function quoted(text) {
            # Doubles each: what stands for the match needs no escaping, which awks disagree about.
            gsub(/\\/, "&&", text)
            return quoted_but_for_backslashes(text)
        }
        function quoted_but_for_backslashes(text) {
            if (index(text, "\"")) text = replaced(text, "\"", "\\\"")
            if (index(text, "\n")) text = replaced(text, "\n", "\\n")
            if (index(text, "\t")) text = replaced(text, "\t", "\\t")
            gsub(/[\001-\037\177]/, "?", text)
            return "\"" text "\""
        }
        function number(text) { return text ~ /^[0-9]+$/ ? text : 0 }
        function is_covered(path,    i) {
            for (i in places) if (substr(path, 1, length(places[i]) + 1) == places[i] "/") return 1
            return 0
        }
        # Of a path below root, the path that the system itself knows.
        function own(path) { return substr(path, length(root) + 1) }
        BEGIN {
            RS = "\036"; FS = "\037"; packages = 0
            # Item 1 is what comes before the first GS.
            kinds = split("S %post %posttrans %preun %postun", names, " ")
            split(covered, places, " ")
            printf "{\"format\":\"rehearsal-system\",\"version\":1"
        }
        $1 == "V" { printf ",\"rpm\":%s,\"packages\":[", quoted($2); next }
        $1 == "E" { failed = $2; next }
        $1 == "P" {
            printf "%s\n{\"name\":%s,\"epoch\":%d", (packages++ ? "," : ""), quoted($2), number($3)
            printf ",\"version\":%s,\"release\":%s,\"arch\":%s,\"algorithm\":%d", quoted($4), quoted($5), quoted($6), number($7)
            next
        }
        /^F/ {
            count = split($0, files, "\035")
            printf ",\"files\":["
            shown = 0
            for (i = 2; i <= count; i++) {
                if (split(files[i], part, "\037") < 6) continue
                # The lowest bit of the flags is %config.
                if (part[2] % 2 == 0 && !is_covered(part[1])) continue
                printf "%s{\"path\":%s,\"flags\":%d,\"mode\":%d,\"state\":%d", (shown++ ? "," : ""), quoted(part[1]), part[2], part[3], part[4]
                printf ",\"digest\":%s,\"link\":%s}", quoted(part[5]), quoted(part[6])
            }
            printf "]"
            next
        }
        /^S/ {
            count = split($0, scripts, "\035")
            printf ",\"scripts\":["
            shown = 0
            for (i = 2; i <= count; i++) {
                split(scripts[i], part, "\037")
                if (part[2] == "" || part[2] == "(none)") continue
                sub(/ *$/, "", part[1])
                kind = i <= kinds ? names[i] : "trigger"
                printf "%s{\"kind\":\"%s\",\"program\":%s,\"text\":%s}", (shown++ ? "," : ""), kind, quoted(part[1]), quoted(part[2])
            }
            printf "]}"
            next
        }
        $1 == "D" { path = own($3); if (!(path in type)) { type[path] = $2; link[path] = $4; order[++paths] = path } next }
        # A line of md5sum or sha256sum. With a backslash at its begin, the name is escaped as JSON would: \\ and \n.
        {
            escaped = substr($0, 1, 1) == "\\"
            if (escaped) $0 = substr($0, 2)
            blank = index($0, " ")
            if (blank != 33 && blank != 65) next
            path = own(substr($0, blank + 2))
            name = escaped ? quoted_but_for_backslashes(path) : quoted(path)
            if (blank == 33) md5[name] = substr($0, 1, 32)
            else sha256[name] = substr($0, 1, 64)
        }
        END {
            printf "],\n\"disk\":["
            for (i = 1; i <= paths; i++) {
                path = order[i]
                name = quoted(path)
                printf "%s\n{\"path\":%s,\"type\":\"%s\"", (i > 1 ? "," : ""), name, type[path]
                if (type[path] == "l") printf ",\"link\":%s", quoted(link[path])
                if (name in md5) printf ",\"md5\":\"%s\",\"sha256\":\"%s\"", md5[name], sha256[name]
                printf "}"
            }
            printf "],\n\"covers\":["
            count = split(covered, places, " ")
            for (i = 1; i <= count; i++) printf "%s%s", (i > 1 ? "," : ""), quoted(places[i])
            printf "]"
            if (failed != "") printf ",\"failed\":%s", quoted(failed)
            print "}"
        }
    '
}

collect </dev/null
