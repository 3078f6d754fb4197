"""A softphone of pjsua2 for the end-to-end tests: one JSON object a line in and out.

Its only argument says who it is: {"address", "port", "transport", "user", "domain", "registrar", "password", "folder",
"codecs": ["pcmu", ...]}.
It answers every call by itself and sends back what it hears; calls with other signals are joined by its user, not by its bridge.

In:  {"command": "dial" | "hangup" | "transfer" | "attended" | "hold" | "resume" | "quit", "params": "sip:...", "call": 0, "other": 1}
Out: {"type": "READY" | "REGISTER_OK" | "REGISTER_FAIL" | "CALL_INCOMING" | "CALL_ESTABLISHED" | "CALL_CLOSED" | "TRANSFER", ...}
"""

import json
import os
import sys
import threading

import pjsua2 as pj

WHO = json.loads(sys.argv[1])
LOCK = threading.Lock()
CALLS = {}
NUMBERS = iter(range(1_000_000))


def tell(kind, **more):
    with LOCK:
        print(json.dumps({"type": kind, **more}), flush=True)


class Call(pj.Call):
    def __init__(self, account, call_id=pj.PJSUA_INVALID_ID):
        pj.Call.__init__(self, account, call_id)
        self.number = next(NUMBERS)
        CALLS[self.number] = self

    def onCallState(self, prm):
        about = self.getInfo()
        if about.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("CALL_ESTABLISHED", call=self.number, peer=about.remoteUri)
        elif about.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            tell("CALL_CLOSED", call=self.number, status=about.lastStatusCode, reason=about.lastReason)

    def onCallMediaState(self, prm):
        about = self.getInfo()  # Its media must not outlive it.
        for index in range(len(about.media)):
            media = about.media[index]
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(index)
                audio.startTransmit(audio)

    def onCallTransferStatus(self, prm):
        tell("TRANSFER", call=self.number, status=prm.statusCode, final=prm.finalNotify)


class Account(pj.Account):
    def onRegState(self, prm):
        tell("REGISTER_OK" if prm.code == 200 else "REGISTER_FAIL", status=prm.code, reason=prm.reason)

    def onIncomingCall(self, prm):
        call = Call(self, prm.callId)
        tell("CALL_INCOMING", call=call.number, message=prm.rdata.wholeMsg)
        call.answer(answer(180))
        call.answer(answer(200))


def answer(status):
    param = pj.CallOpParam(True)
    param.statusCode = status
    return param


def transport(config):
    kind = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
    config.port = WHO["port"]
    config.boundAddress = WHO["address"]
    if WHO["transport"] == "tls":
        config.tlsConfig.CaListFile = os.path.join(WHO["folder"], "ca.pem")
        config.tlsConfig.certFile = os.path.join(WHO["folder"], "peer.pem")
        config.tlsConfig.privKeyFile = os.path.join(WHO["folder"], "peer.key")
        config.tlsConfig.verifyServer = True
    return kind[WHO["transport"]]


def start():
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = 4
    config.logConfig.consoleLevel = 0
    config.logConfig.filename = os.path.join(WHO["folder"], WHO["user"] + "-pjsua.log")
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    # The bridge runs as the streams do: nothing is resampled.
    config.medConfig.clockRate = 8000
    config.medConfig.sndClockRate = 8000
    endpoint.libInit(config)
    tp = pj.TransportConfig()
    kind = transport(tp)
    endpoint.transportCreate(kind, tp)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        name = codec.codecId.split("/")[0].lower()
        wanted = name in WHO["codecs"]
        endpoint.codecSetPriority(codec.codecId, 255 - WHO["codecs"].index(name) if wanted else 0)
    return endpoint


def account():
    config = pj.AccountConfig()
    config.idUri = "sip:{user}@{domain}".format(**WHO)
    config.mediaConfig.transportConfig.boundAddress = WHO["address"]
    config.mediaConfig.transportConfig.port = 40000
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    if WHO.get("registrar"):
        config.regConfig.registrarUri = WHO["registrar"]
        config.regConfig.timeoutSec = 300
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", WHO["user"], 0, WHO["password"]))
        config.sipConfig.proxies.append(WHO["registrar"] + ";lr")
    else:
        # By itself it would name the address that its route to the daemon starts from.
        config.sipConfig.contactForced = "<sip:{user}@{address}:{port};transport={transport}>".format(**WHO)
    made = Account()
    made.create(config)
    return made


def obey(own, order):
    command, call = order["command"], CALLS.get(order.get("call", 0))
    if command == "dial":
        Call(own).makeCall(order["params"], pj.CallOpParam(True))
    elif command == "hangup":
        call.hangup(pj.CallOpParam())
    elif command == "transfer":
        call.xfer(order["params"], pj.CallOpParam(True))
    elif command == "attended":
        call.xferReplaces(CALLS[order["other"]], pj.CallOpParam(True))
    elif command == "hold":
        call.setHold(pj.CallOpParam(True))
    elif command == "resume":
        param = pj.CallOpParam(True)
        param.opt.flag = pj.PJSUA_CALL_UNHOLD
        call.reinvite(param)


def main():
    endpoint = start()
    own = account()
    tell("READY")
    for line in sys.stdin:
        order = json.loads(line)
        if order["command"] == "quit":
            break
        try:
            endpoint.libRegisterThread("main") if not endpoint.libIsThreadRegistered() else None
            obey(own, order)
        except pj.Error as error:
            tell("ERROR", reason=error.info())
    # The process ends with its calls: a parent that dies leaves nothing behind.
    endpoint.hangupAllCalls()
    os._exit(0)


main()
