use super::*;
use rstest::rstest;

const LOG: &str = r#"2026-11-24T08:38:00.000001+00:00 ldap slapd[412]: @(#) $OpenLDAP: slapd 2.5.13 $
2026-11-24T08:38:00.000002+00:00 ldap slapd[412]: slapd starting
2026-11-24T08:38:01.000001+00:00 ldap slapd[412]: conn=1000 fd=12 ACCEPT from IP=10.20.0.10:41234 (IP=0.0.0.0:636)
2026-11-24T08:38:01.000002+00:00 ldap slapd[412]: conn=1000 fd=12 TLS established tls_ssf=256 ssf=256 tls_proto=TLS1.3 tls_cipher=AES-256-GCM
2026-11-24T08:38:01.000003+00:00 ldap slapd[412]: conn=1000 op=0 BIND dn="cn=sssd,dc=lan,dc=test" method=128
2026-11-24T08:38:01.000004+00:00 ldap slapd[412]: conn=1000 op=0 BIND dn="cn=sssd,dc=lan,dc=test" mech=SIMPLE bind_ssf=0 ssf=256
2026-11-24T08:38:01.000005+00:00 ldap slapd[412]: conn=1000 op=0 RESULT tag=97 err=0 qtime=0.000010 etime=0.000200 text=
2026-11-24T08:38:02.000001+00:00 ldap slapd[412]: conn=1001 fd=13 ACCEPT from IP=10.20.0.99:50000 (IP=0.0.0.0:636)
2026-11-24T08:38:02.000002+00:00 ldap slapd[412]: conn=1001 op=0 BIND dn="" method=128
2026-11-24T08:38:02.000003+00:00 ldap slapd[412]: conn=1001 op=0 RESULT tag=97 err=0 qtime=0.000010 etime=0.000200 text=
2026-11-24T08:38:03.000000+00:00 ldap probe[9]: mark: the login begins
2026-11-24T08:38:03.000001+00:00 ldap slapd[412]: conn=1000 op=1 SRCH base="dc=lan,dc=test" scope=2 deref=0 filter="(&(uid=alice)(objectClass=posixAccount))"
2026-11-24T08:38:03.000002+00:00 ldap slapd[412]: conn=1000 op=1 SRCH attr=objectClass uid userPassword
2026-11-24T08:38:03.000003+00:00 ldap slapd[412]: conn=1000 op=1 SEARCH RESULT tag=101 err=0 qtime=0.000010 etime=0.000300 nentries=1 text=
2026-11-24T08:38:03.000004+00:00 ldap slapd[412]: conn=1002 fd=14 ACCEPT from IP=10.20.0.10:41236 (IP=0.0.0.0:636)
2026-11-24T08:38:03.000005+00:00 ldap slapd[412]: conn=1002 op=1 BIND dn="uid=alice,ou=people,dc=lan,dc=test" method=128
2026-11-24T08:38:03.000006+00:00 ldap slapd[412]: conn=1002 op=1 RESULT tag=97 err=49 qtime=0.000010 etime=0.000200 text=
2026-11-24T08:38:03.000007+00:00 ldap slapd[412]: conn=1002 op=2 UNBIND
2026-11-24T08:38:03.000008+00:00 ldap slapd[412]: conn=1002 fd=14 closed
"#;

fn mail() -> IpAddr {
    "10.20.0.10".parse().unwrap()
}

fn shown(requests: &[&Request]) -> String {
    requests.iter().map(|request| format!("{:>2} {request}\n", request.line)).collect()
}

#[test]
fn requests_are_attributed_to_hosts() {
    insta::assert_snapshot!(shown(&DirectoryLog::read(LOG).requests_from(mail())), @r#"
     5 BIND "cn=sssd,dc=lan,dc=test" by 10.20.0.10:41234: result 0
    12 SEARCH "dc=lan,dc=test" (&(uid=alice)(objectClass=posixAccount)) by 10.20.0.10:41234: result 0, 1 entries
    16 BIND "uid=alice,ou=people,dc=lan,dc=test" by 10.20.0.10:41236: result 49
    18 UNBIND by 10.20.0.10:41236
    "#);
}

#[rstest]
#[case::mark(Since::Mark("mark: the login begins"))]
#[case::line(Since::Line(11))]
#[case::byte(Since::Byte(LOG.find("2026-11-24T08:38:03.000001").unwrap()))]
#[case::within_a_line(Since::Byte(LOG.find("mark: the").unwrap()))]
fn a_window_knows_connections_from_before(#[case] since: Since<'_>) {
    let log = DirectoryLog::read_since(LOG, since).unwrap();
    let lines: Vec<usize> = log.requests_from(mail()).iter().map(|request| request.line).collect();
    assert_eq!(lines, [12, 16, 18]);
    assert_eq!(log.connections_from(mail()).len(), 1);
    assert!(log.requests_of_unknown_peers().is_empty());
}

#[test]
fn the_end_of_an_idle_connection_asks_for_nothing() {
    let log = format!("{LOG}2026-11-24T08:53:01.000001+00:00 ldap slapd[412]: conn=1000 op=2 UNBIND\n");
    let log = DirectoryLog::read_since(&log, Since::Line(19)).unwrap();
    let requests = log.requests_from(mail());
    assert_eq!(requests.len(), 1);
    assert!(requests.iter().all(|request| !request.kind.asks()));
    assert!(DirectoryLog::read(LOG).requests_from(mail())[0].kind.asks());
}

#[test]
fn a_missing_mark_is_an_error() {
    let error = DirectoryLog::read_since(LOG, Since::Mark("nowhere")).unwrap_err();
    assert_eq!(error.to_string(), "the directory's log has no line with 'nowhere'");
}

#[test]
fn a_log_that_begins_late_has_unknown_peers() {
    let late = LOG.split_once("probe[9]").unwrap().1;
    let log = DirectoryLog::read(late);
    assert_eq!(log.requests_of_unknown_peers().len(), 1);
    assert_eq!(log.requests_from(mail()).len(), 2);
}

#[test]
fn connection_numbers_begin_anew_with_slapd() {
    let log = DirectoryLog::read(
        "slapd starting\nconn=1000 fd=12 ACCEPT from IP=10.20.0.10:1 (IP=0.0.0.0:636)\nconn=1000 op=0 UNBIND\n\
         slapd starting\nconn=1000 fd=12 ACCEPT from IP=10.20.0.99:1 (IP=0.0.0.0:636)\nconn=1000 op=0 UNBIND\n",
    );
    assert_eq!(log.requests().len(), 2);
    assert_eq!(log.requests_from(mail()).len(), 1);
}

#[test]
fn the_copy_on_standard_error_does_not_count() {
    let log = DirectoryLog::read(
        "6743a1b2.0c3d4e5f 0x7f12 conn=1000 fd=12 ACCEPT from IP=10.20.0.10:1 (IP=0.0.0.0:636)\n\
         conn=1000 fd=12 ACCEPT from IP=10.20.0.10:1 (IP=0.0.0.0:636)\n\
         conn=1000 op=0 UNBIND\n6743a1b2.0c3d4e5f 0x7f12 conn=1000 op=0 UNBIND\n",
    );
    assert_eq!((log.requests().len(), log.connections_from(mail()).len()), (1, 1));
    let only_copies = DirectoryLog::read("6743a1b2.0c3d4e5f 0x7f12 conn=1000 op=0 UNBIND\n");
    assert_eq!(only_copies.requests().len(), 1);
}

#[test]
fn a_client_that_distrusts_the_server_leaves_a_connection() {
    let log = DirectoryLog::read(
        "conn=1005 fd=14 ACCEPT from IP=10.20.0.10:1 (IP=0.0.0.0:636)\n\
         conn=1005 fd=14 TLS established tls_ssf=256 ssf=256 tls_proto=TLS1.3 tls_cipher=AES-256-GCM\n\
         conn=1005 fd=14 closed (connection lost)\n",
    );
    let connections = log.connections_from(mail());
    assert!(log.requests_from(mail()).is_empty());
    assert!(connections[0].tls);
    assert_eq!(connections[0].closed.as_deref(), Some("connection lost"));
}

#[rstest]
#[case("IP=10.20.0.10:1 (IP=0.0.0.0:389)", true)]
#[case("IP=[::ffff:10.20.0.10]:1 (IP=[::]:389)", true)]
#[case("IP=[fe80::1]:1 (IP=[::]:389)", false)]
#[case("PATH=/run/slapd/ldapi (PATH=/run/slapd/ldapi)", false)]
fn peers_are_understood(#[case] from: &str, #[case] is_mail: bool) {
    let log =
        DirectoryLog::read(&format!("conn=1 fd=1 ACCEPT from {from}\nconn=1 op=0 EXT oid=1.3.6.1.4.1.1466.20037\n"));
    assert_eq!(log.requests_from(mail()).len(), usize::from(is_mail));
    assert!(log.requests_of_unknown_peers().is_empty());
}

/// The request of line 16 and the connection of line 15 are before these moments, as is the line of the mark itself.
#[rstest]
#[case::mark(Since::Mark("op=1 BIND"), &[18], &[])]
#[case::line(Since::Line(16), &[18], &[])]
#[case::line_of_a_connection(Since::Line(15), &[16, 18], &[])]
#[case::line_before_it(Since::Line(14), &[16, 18], &[15])]
#[case::start(Since::Start, &[5, 12, 16, 18], &[3, 15])]
fn a_window_begins_behind_its_moment(
    #[case] since: Since<'_>,
    #[case] requests: &[usize],
    #[case] connections: &[usize],
) {
    let log = DirectoryLog::read_since(LOG, since).unwrap();
    let lines: Vec<usize> = log.requests_from(mail()).iter().map(|request| request.line).collect();
    assert_eq!(lines, requests);
    let lines: Vec<usize> = log.connections_from(mail()).iter().map(|connection| connection.line).collect();
    assert_eq!(lines, connections);
}

#[rstest]
#[case(0, 0)]
#[case(1, 1)]
#[case(2, 1)]
#[case(3, 1)]
#[case(4, 2)]
#[case(6, 2)]
#[case(99, 2)]
fn a_line_that_has_begun_is_before_a_byte(#[case] bytes: usize, #[case] lines: usize) {
    assert_eq!(lines_before("ab\ncd\n", bytes), lines);
}
