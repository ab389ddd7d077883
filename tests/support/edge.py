"""Kamailio as the proxy at the edge of a site: phones register through it, and are called through it.

It adds a Path (RFC 3327) that says that it keeps flows (RFC 5626) and where the phone is behind it.
"""

from __future__ import annotations

from tests.support.kamailio import Kamailio

_CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "path.so"
modparam("rr", "enable_full_lr", 1)
modparam("path", "use_received", 1)

onreply_route {{
    xlog("L_NOTICE", "HEARD $rm status=$rs src=$si:$sp require=$hdr(Require) path=$hdr(Path)\\n");
}}

request_route {{
    xlog("L_NOTICE", "SAW $rm src=$si over=$pr ru=$rU route=$hdr(Route) to=$tU\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) t_relay();
        else if (!is_method("ACK")) sl_send_reply("404", "Not Here");
        exit;
    }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        add_path_received("", "ob");
        $du = "sip:{service}";
    }} else {{
        $var(inward) = !($si == "{service_host}" && $sp == {service_port});
        if (!$var(inward)) loose_route();
        record_route();
        if ($var(inward)) $du = "sip:{service}";
    }}
    if (!t_relay()) sl_reply_error();
}}
"""


class Edge(Kamailio):
    """`with Edge("127.0.0.8", service.sip_address) as edge`; phones use its address as their server."""

    def __init__(self, host: str, service: tuple[str, int]) -> None:
        super().__init__(host)
        self._service = service

    def _config(self, refuses_with: str) -> str:
        host, port = self._service
        return _CONFIG.format(
            host=self.host, port=self.port, service=f"{host}:{port}", service_host=host, service_port=port
        )
