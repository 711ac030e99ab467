# After files below /etc were laid: what is made from them is made again, and the units that are this script's arguments start again.
# What goes wrong is said and is no error: a daemon that does not start is an answer.
postconf -n 2>/dev/null | grep -oE '(hash|lmdb|btree|cdb):/etc/[^ ,]+' | sort -u | while IFS=: read -r kind path; do
    case $path in
    *aliases*) postalias "$kind:$path" ;;
    *) postmap "$kind:$path" ;;
    esac
done
if [ -n "${NFTABLES:-}" ]; then
    nft -f /etc/nftables.conf
fi
case " $* " in
*" sssd "*)
    # What sssd knows is of another configuration.
    systemctl stop sssd
    rm -f /var/lib/sss/db/* /var/lib/sss/mc/*
    ;;
esac
systemctl daemon-reload
for unit; do
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl restart "$unit"
done
for unit; do echo "@$unit $(systemctl is-active "$unit")"; done
