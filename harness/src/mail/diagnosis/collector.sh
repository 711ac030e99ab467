#!/bin/sh
# Prints what must be known of a machine to say why a user of its mail services cannot log in: PAM's files, sssd's and saslauthd's
# configuration and state, what the directory answers to sssd's own account, and the log of the last minutes. No password is
# printed: values that look like one are masked here. Nothing is written or changed. To be run by root, on the mail server and, if
# it can be, on the directory, soon after a login was refused:
#
#     cargo xtask diagnose --print-collector | ssh root@mail sh -s -- alice > mail.txt
#
# The first argument is the user, the second since when the log is wanted: a number of seconds before now, or journalctl's words; the third how many seconds the
# directory has for each answer. It needs awk and GNU find; bash, openssl, ldapsearch and journalctl tell more where they are.

collect() {
    user=${1:-} since=${2:-15 min ago} patience=${3:-15}
    LC_ALL=C
    export LC_ALL
    case $user in
    '' | -* | *[!A-Za-z0-9._@+-]*) echo "the first argument is the name of the user who cannot log in" >&2; return 2 ;;
    esac
    case $patience in
    '' | 0* | *[!0-9]*) echo "the third argument is a number of seconds" >&2; return 2 ;;
    esac
    [ "$(id -u)" = 0 ] || { echo "to be run by root: sssd's configuration is readable by root only" >&2; return 2; }
    for tool in awk find; do
        command -v $tool >/dev/null || { echo "$tool is not on this system" >&2; return 2; }
    done

    # A line that begins with @ opens a section; lines of its text begin with |.
    echo "@rehearsal-evidence 1 $(uname -n) $(hostname -f 2>/dev/null) "
    echo "@user $user"
    now=$(date +%s)
    echo "@now $now"
    case $since in *[!0-9]*) ;; *) since=@$((now - since)) ;; esac
    text() { awk '{ print "|" $0 }'; }
    has() { command -v "$1" >/dev/null; }

    # Where the configuration lies: its dress, then its text.
    sssd_files=$(find /etc/sssd/sssd.conf /etc/sssd/conf.d -maxdepth 1 -name '[!.]*.conf' 2>/dev/null | sort)
    authority=$(setting ldap_tls_cacert)
    files="$sssd_files /etc/default/saslauthd /etc/sysconfig/saslauthd /etc/saslauthd.conf /etc/nsswitch.conf /etc/imapd.conf
        /etc/postfix/sasl/smtpd.conf /etc/sasl2/smtpd.conf /usr/lib/sasl2/smtpd.conf ${authority:-}"
    {
        find /etc/pam.d /usr/etc/pam.d /usr/lib/pam.d -maxdepth 1 '(' -type f -o -type l ')' -printf '@file %p %m %u %g\n' 2>/dev/null
        find $files -maxdepth 0 -printf '@file %p %m %u %g\n' 2>/dev/null
    } | while read -r kind path rest; do
        echo "$kind $path $rest"
        echo "$path" >&3
    done 3>&1 | texts

    # Who runs.
    if has systemctl; then
        echo "@units"
        systemctl show sssd saslauthd cyrus-imapd cyrus postfix slapd \
            --property Id,LoadState,ActiveState,SubState,Result,UnitFileState 2>/dev/null | text
    fi
    for process in /proc/[0-9]*; do
        read -r name <"$process/comm" || continue
        if [ "$name" = saslauthd ]; then
            echo "@saslauthd"
            tr '\0' '\n' <"$process/cmdline" | text
            break
        fi
    done 2>/dev/null
    spool=/var/spool/postfix
    if has postconf; then
        spool=$(postconf -h queue_directory)
        echo "@master"
        postconf -M 2>/dev/null | text
    fi
    for root in '' "$spool"; do
        find "$root/run/saslauthd" "$root/var/run/saslauthd" "$root/run/sasl2" -maxdepth 1 -printf '@socket %p %y %m %u %g\n' 2>/dev/null
    done
    for account in postfix cyrus; do
        groups=$(id -nG $account 2>/dev/null) && echo "@groups $account $groups"
    done
    if grep -q "^$user:" /etc/passwd; then echo "@local"; fi
    for tool in /usr/lib/cyrus/bin/cyr_deny /usr/lib/cyrus-imapd/cyr_deny /usr/lib/cyrus/cyr_deny /usr/sbin/cyr_deny; do
        [ -x $tool ] || continue
        echo "@denied"
        runuser -u cyrus -- $tool -l 2>&1 | text
        break
    done

    ask_directory

    echo "@log"
    {
        if has journalctl; then
            journalctl --sync 2>/dev/null
            case $since in
            cursor:*) journalctl --quiet --no-pager --output short-iso --after-cursor "${since#cursor:}" ;;
            *) journalctl --quiet --no-pager --output short-iso --since "$since" ;;
            esac
        else
            tail -q -n 1000 /var/log/mail /var/log/mail.log /var/log/auth.log /var/log/messages 2>/dev/null
        fi
    } | tail -n 4000 | text
    if [ -n "$sssd_files" ]; then
        echo "@sssd-log"
        tail -q -n 40 /var/log/sssd/sssd_*.log 2>/dev/null | text
    fi
    echo "@end"
}

# Prints the lines that begin with @, and of the paths on all others the texts, without passwords and private keys.
texts() {
    awk '
        /^@/ { print; next }
        {
            hide = 0
            while ((getline line < $0) > 0) {
                if (line ~ /-----BEGIN .*PRIVATE KEY-----/) hide = 1
                ends = line ~ /-----END .*PRIVATE KEY-----/
                if (tolower(line) ~ /^[ \t]*[a-z0-9_.-]*(authtok|password|passwd|secret|bind_?pw)[a-z0-9_]*[ \t]*[=:]/ && line !~ /authtok_type/)
                    sub(/[=:].*/, "= ******", line)
                gsub(/(passwd|password|secret)=[^ \t]+/, "passwd=******", line)
                print "|" (hide ? "******" : line)
                if (ends) hide = 0
            }
            close($0)
        }'
}

# The last value of a key of sssd's domains.
setting() {
    [ -n "$sssd_files" ] || return 0
    awk -v key="$1" '
        /^[ \t]*[#;]/ { next }
        { at = index($0, "="); name = substr($0, 1, at - 1); gsub(/[ \t]/, "", name) }
        at && name == key { value = substr($0, at + 1); sub(/^[ \t]+/, "", value); sub(/[ \t]+$/, "", value) }
        END { print value }' $sssd_files
}

# Runs a command that waits for so many answers of the directory, and keeps what it says and its status. It reads the secret, if
# there is one, from a pipe: arguments are for everybody to see.
ask() {
    answers=$1
    shift
    begun=$(date +%s) limit=$((patience * answers))
    said=$(printf %s "$secret" | timeout "$limit" "$@" 2>&1)
    status=$?
}

# Says how long that took: what is only just in time today is not tomorrow.
waited() { echo "@waited $(($(date +%s) - begun)) $limit $*"; }

# Asks the directory as sssd does: by its name, by TCP, by TLS, as sssd's account, and for the user's entry. Who does not answer one
# question is not asked the next.
ask_directory() {
    uri=$(setting ldap_uri)
    uri=${uri%%[, ]*}
    [ -n "$uri" ] || return 0
    place=${uri#*://}
    place=${place%%/*}
    host=${place%:*} port=${place##*:}
    case $uri in ldaps://*) usual=636 ;; *) usual=389 ;; esac
    [ "$port" != "$place" ] || port=$usual
    secret=
    has timeout || return 0
    if has getent; then
        ask 1 getent ahosts "$host"
        echo "@name $host $status"
        waited the address of the directory
        [ $status = 0 ] || return 0
    fi
    if has bash; then
        ask 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$host" "$port"
        echo "@connect $host $port $status"
        echo "$said" | text
        waited the directory to take a connection
        [ $status = 0 ] || return 0
    fi
    start_tls=
    case $(setting ldap_id_use_start_tls) in [Tt]rue | [Yy]es | 1) start_tls=-ZZ ;; esac
    if has openssl && [ $usual = 636 ]; then
        # A connection, and the certificate.
        ask 2 openssl s_client -connect "$host:$port" -servername "$host" ${authority:+-CAfile "$authority"}
        echo "@tls $status"
        echo "$said" | awk '/erify (error|return code)/' | sort -u | text
        waited the directory to show its certificate
        [ $status != 124 ] || return 0
    fi
    has ldapsearch || return 0
    reqcert=$(setting ldap_tls_reqcert)
    bind=$(setting ldap_default_bind_dn)
    base=$(setting ldap_user_search_base)
    base=${base:-$(setting ldap_search_base)}
    name=$(setting ldap_user_name)
    # A connection, TLS, who asks, and the entry.
    secret=$(setting ldap_default_authtok)
    ask 4 env ${authority:+LDAPTLS_CACERT="$authority"} LDAPTLS_REQCERT="${reqcert:-demand}" \
        ldapsearch -x -LLL -H "$uri" $start_tls ${bind:+-D "$bind" -y /dev/stdin} -b "${base%%\?*}" \
        "(${name:-uid}=$user)" objectClass uid uidNumber gidNumber homeDirectory host
    echo "@entry $status"
    echo "$said" | text
    waited the directory to find the entry
}

collect "$@" </dev/null
