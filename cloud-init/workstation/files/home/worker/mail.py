#!/usr/bin/python3
"""Sends a message by smtplib, or reads subjects by imaplib. The password comes on standard input."""
import imaplib
import smtplib
import ssl
import sys

HOST, USER, ADDRESS = "mail.{{ domain }}", "alice", "alice@{{ domain }}"
trust = ssl.create_default_context(cafile="/etc/ssl/lab/authority.crt")
password = sys.stdin.readline().rstrip("\n")

if sys.argv[1:2] == ["send"]:
    with smtplib.SMTP(HOST, 587) as smtp:
        smtp.starttls(context=trust)
        smtp.login(USER, password)
        smtp.sendmail(ADDRESS, [ADDRESS], f"From: {ADDRESS}\r\nTo: {ADDRESS}\r\nSubject: {sys.argv[2]}\r\n\r\nwords\r\n")
else:
    with imaplib.IMAP4_SSL(HOST, ssl_context=trust) as imap:
        imap.login(USER, password)
        imap.select("INBOX", readonly=True)
        _, found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        print("".join(part[1].decode() for part in found if isinstance(part, tuple)))
