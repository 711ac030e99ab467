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
    '' | -* | *[!A-Za-z0-9._@+\\-]*) echo "the first argument is the name of the user who cannot log in" >&2; return 2 ;;
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
    printf '@user %s\n' "$user"
    now=$(date +%s)
    echo "@now $now"
    case $since in *[!0-9]*) ;; *) since=@$((now - since)) ;; esac
    text() { awk '{ print "|" $0 }'; }
    has() { command -v "$1" >/dev/null; }

    # Where the configuration lies: its dress, then its text.
    sssd_files=$(find /etc/sssd/sssd.conf /etc/sssd/conf.d -maxdepth 1 -name '[!.]*.conf' 2>/dev/null | sort)
    authority=$(setting ldap_tls_cacert)
    authorities=$(setting ldap_tls_cacertdir)
    application=smtpd places=
    if has postconf; then
        application=$(postconf -h smtpd_sasl_path 2>/dev/null)
        places=$(postconf -h cyrus_sasl_config_path 2>/dev/null | tr ':' ' ')
    fi
    application=${application##*/}
    files="$sssd_files $(echo /etc/default/saslauthd*) /etc/sysconfig/saslauthd /etc/saslauthd.conf /etc/nsswitch.conf /etc/imapd.conf
        /etc/security/access.conf /etc/security/faillock.conf /etc/nologin /run/nologin ${authority:-}"
    for place in $places /etc/postfix/sasl /etc/sasl2 /usr/lib/sasl2 /usr/lib64/sasl2 /usr/lib/*/sasl2; do
        files="$files $place/${application:-smtpd}.conf"
    done
    files=$(printf '%s\n' $files | sort -u)
    {
        find /etc/pam.d /usr/lib/pam.d /usr/etc/pam.d -maxdepth 1 '(' -type f -o -type l ')' -printf '@file %p %m %u %g\n' 2>/dev/null
        find $files -maxdepth 0 -printf '@file %p %m %u %g\n' 2>/dev/null
    } | while read -r kind path rest; do
        echo "$kind $path $rest"
        echo "$path" >&3
    done 3>&1 | texts
    for path in $authority $authorities; do
        [ -e "$path" ] || echo "@absent $path"
    done
    echo "@pam-modules"
    find /lib/security /lib64/security /usr/lib/security /usr/lib64/security /lib/*/security /usr/lib/*/security \
        -maxdepth 1 -name 'pam_*.so' -printf '%f\n' 2>/dev/null | sort -u | text
    echo "@versions"
    {
        if has dpkg-query; then
            dpkg-query --show --showformat '${Package} ${Version}\n' sssd-common postfix cyrus-imapd sasl2-bin libpam-modules
        elif has rpm; then
            rpm --query --queryformat '%{NAME} %{VERSION}\n' sssd-common sssd postfix cyrus-imapd cyrus-sasl pam
        fi
        has sssd && echo "sssd $(sssd --version)"
        has postconf && echo "postfix $(postconf -h mail_version)"
    } 2>/dev/null | text

    # Who runs.
    if has systemctl; then
        echo "@units"
        units='sssd saslauthd cyrus-imapd cyrus postfix postfix@- sssd-pam.socket slapd'
        systemctl show $units --property Id,LoadState,ActiveState,SubState,Result,UnitFileState 2>/dev/null | text
    fi
    # Its processes have all the same arguments; instances have others.
    known= sockets=
    for process in /proc/[0-9]*; do
        read -r name <"$process/comm" || continue
        [ "$name" = saslauthd ] || continue
        arguments=$(tr '\0' ' ' <"$process/cmdline")
        case $known in *"<$arguments>"*) continue ;; esac
        known="$known<$arguments>"
        echo "@saslauthd"
        tr '\0' '\n' <"$process/cmdline" | text
        sockets="$sockets $(tr '\0' '\n' <"$process/cmdline" | awk 'next_one { print; next_one = 0 } $0 == "-m" { next_one = 1 }')"
    done 2>/dev/null
    spool=/var/spool/postfix
    if has postconf; then
        spool=$(postconf -h queue_directory)
        echo "@master"
        postconf -M 2>/dev/null | text
        echo "@postconf"
        postconf -x mail_version compatibility_level queue_directory cyrus_sasl_config_path smtpd_sasl_type smtpd_sasl_path \
            smtpd_sasl_auth_enable smtpd_sasl_security_options smtpd_sasl_tls_security_options 2>/dev/null | text
    fi
    for root in '' "$spool"; do
        find "$root/run/saslauthd" "$root/var/run/saslauthd" "$root/run/sasl2" -maxdepth 1 -printf '@socket %p %y %m %u %g\n' 2>/dev/null
    done
    for place in $sockets; do
        case $place in /run/saslauthd | /var/run/saslauthd | /run/sasl2 | "$spool"/*run/saslauthd) continue ;; esac
        find "$place" -maxdepth 1 -printf '@socket %p %y %m %u %g\n' 2>/dev/null
    done
    for account in postfix cyrus; do
        groups=$(id -nG $account 2>/dev/null) && echo "@groups $account $groups"
    done
    if LOGIN=$user awk -F : '$1 == ENVIRON["LOGIN"] { found = 1 } END { exit !found }' /etc/passwd; then echo "@local"; fi
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
        tail -q -n 40 /var/log/sssd/sssd.log /var/log/sssd/sssd_*.log 2>/dev/null | text
    fi
    # What does not run may have said why long ago.
    if has systemctl && has journalctl; then
        for unit in sssd saslauthd cyrus-imapd postfix; do
            case $(systemctl is-active $unit) in active | reloading) continue ;; esac
            echo "@last-words $unit"
            journalctl --quiet --no-pager --output short-iso --lines 20 --unit $unit 2>/dev/null | text
        done
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

# The last value of a key of sssd's that is not of a domain that is switched off.
setting() {
    [ -n "$sssd_files" ] || return 0
    awk -v key="$1" '
        function word(text) { sub(/^[ \t]+/, "", text); sub(/[ \t]+$/, "", text); return text }
        FNR == 1 { section = "" }
        /^[ \t]*[#;]/ { next }
        /^[ \t]*\[/ { section = word($0); next }
        { at = index($0, "="); name = word(substr($0, 1, at - 1)); value = word(substr($0, at + 1)) }
        at && name == "domains" { domains = value; gsub(/[ \t]/, "", domains) }
        at && name == key { count++; where[count] = section; what[count] = value }
        END {
            for (i = count; i > 0; i--) {
                domain = where[i]
                if (!sub(/^\[domain\//, "", domain)) break
                sub(/\]$/, "", domain)
                if (domains == "" || index("," domains ",", "," domain ",")) break
            }
            if (i > 0) print what[i]
        }' $sssd_files
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

# The password of sssd's account, on standard output. What sss_obfuscate(8) has made is read by sssd's own library.
password() {
    case $(setting ldap_default_authtok_type) in
    obfuscated_password)
        library=$(find /usr/lib /usr/lib64 -name libsss_crypt.so 2>/dev/null | head -n 1)
        has python3 && [ -n "$library" ] || return 1
        setting ldap_default_authtok | python3 -c '
import ctypes, sys
plain = ctypes.c_char_p()
failed = ctypes.CDLL(sys.argv[1]).sss_password_decrypt(None, sys.stdin.buffer.read().strip(), ctypes.byref(plain))
sys.stdout.buffer.write(b"" if failed else plain.value)
sys.exit(bool(failed))' "$library" 2>/dev/null
        ;;
    *) setting ldap_default_authtok | tr -d '\n' ;;
    esac
}

# The directory's servers in the order in which sssd asks them. `_srv_` stands for those that DNS names.
servers() {
    for uri in $(printf '%s %s\n' "$(setting ldap_uri)" "$(setting ldap_backup_uri)" | tr ',' ' '); do
        if [ "$uri" != _srv_ ]; then
            echo "$uri"
            continue
        fi
        domain=$(setting dns_discovery_domain)
        domain=_ldap._tcp.${domain:-$(hostname -d 2>/dev/null)}
        {
            if has dig; then
                timeout "$patience" dig +short SRV "$domain"
            elif has host; then
                timeout "$patience" host -t SRV "$domain" | awk '{ print $(NF - 3), $(NF - 2), $(NF - 1), $NF }'
            fi
        } 2>/dev/null | awk '$3 ~ /^[0-9]+$/ { sub(/\.$/, "", $4); print $1, "ldap://" $4 ":" $3 }' | sort -n | cut -d ' ' -f 2
    done | awk '!known[$0]++'
}

# Asks each server of the directory, as sssd would if those before it were silent.
ask_directory() {
    has timeout || return 0
    reqcert=$(setting ldap_tls_reqcert)
    for uri in $(servers); do
        echo "@server $uri"
        ask_server "$uri"
    done
}

# Asks a server as sssd does: by its name, by TCP, by TLS, as sssd's account, and for the user's entry. Who does not answer one
# question is not asked the next.
ask_server() {
    place=${1#*://}
    place=${place%%/*}
    host=${place%:*} port=${place##*:}
    case $1 in ldaps://*) usual=636 ;; *) usual=389 ;; esac
    [ "$port" != "$place" ] || port=$usual
    secret=
    if has getent; then
        ask 1 getent ahosts "$host"
        echo "@name $host $status"
        waited the address of the directory
        [ $status = 0 ] || return 0
    fi
    if has bash; then
        ask 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$host" "$port"
        echo "@connect $host $port $status"
        printf '%s\n' "$said" | text
        waited the directory to take a connection
        [ $status = 0 ] || return 0
    fi
    start_tls=
    case $(setting ldap_id_use_start_tls) in [Tt]rue | TRUE | [Yy]es | 1) start_tls=-ZZ ;; esac
    if has openssl && [ "$usual$start_tls" != 389 ]; then
        # A connection, and the certificate, which must be for the name by which sssd asks.
        case $host in *[!0-9.]*) name=-verify_hostname ;; *) name=-verify_ip ;; esac
        ask 2 openssl s_client -connect "$host:$port" -servername "$host" $name "$host" ${start_tls:+-starttls ldap} \
            ${authority:+-CAfile "$authority"} ${authorities:+-CApath "$authorities"}
        echo "@tls $status"
        printf '%s\n' "$said" | awk '/erify (error|return code)/ || /alert/ || /:error:/ || /no peer certificate/' | sort -u | text
        waited the directory to show its certificate
        [ $status != 124 ] || return 0
    fi
    has ldapsearch || return 0
    bind=$(setting ldap_default_bind_dn)
    if [ -n "$bind" ] && ! secret=$(password); then
        echo "@entry -1"
        echo "the password of sssd's account is obfuscated, and cannot be read here without python3 and libsss_crypt.so" | text
        return 0
    fi
    base=$(setting ldap_user_search_base)
    base=${base:-$(setting ldap_search_base)}
    name=$(setting ldap_user_name)
    # The user of a domain of Windows is asked for without it.
    filter="(${name:-uid}=${user##*\\})"
    # A connection, TLS, who asks, and the entry.
    look_up "$1" "$filter" objectClass uid uidNumber gidNumber homeDirectory host shadowExpire shadowLastChange shadowMax
    echo "@entry $status"
    printf '%s\n' "$said" | text
    waited the directory to find the entry
    access=$(setting ldap_access_filter)
    if [ $status = 0 ] && [ "$(setting access_provider)" = ldap ] && [ -n "$access" ]; then
        case $access in '('*) ;; *) access="($access)" ;; esac
        look_up "$1" "(&$filter$access)" 1.1
        echo "@access $status"
        printf '%s\n' "$said" | text
    fi
}

# Searches a server for a filter and attributes.
look_up() {
    uri=$1
    shift
    ask 4 env ${authority:+LDAPTLS_CACERT="$authority"} ${authorities:+LDAPTLS_CACERTDIR="$authorities"} \
        LDAPTLS_REQCERT="${reqcert:-demand}" \
        ldapsearch -x -LLL -o ldif-wrap=no -H "$uri" $start_tls ${bind:+-D "$bind" -y /dev/stdin} -b "${base%%\?*}" "$@"
}

collect "$@" </dev/null
