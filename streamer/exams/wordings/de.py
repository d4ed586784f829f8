"""German."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

DE = Wording(
    name="Deutsch",
    text="""\
Was geschieht: Während der Prüfung {exam} hört der Server Ihr Mikrofon, von dem Augenblick an, in \
dem Sie auf dieser Seite beginnen, bis Sie sie verlassen oder die Prüfung endet. Er vergleicht die \
Stimme mehrmals in der Sekunde mit Ihrem Stimmabdruck.
Was gespeichert wird: der Stimmabdruck, eine Liste von Zahlen, die aus Ihrer Stimme berechnet und \
verschlüsselt aufbewahrt wird. Und ein Protokoll: wann welche Stimme gesprochen hat, wie sicher \
der Server war und wie gut der Ton war. {sound}
Wozu: damit die Prüfungsaufsicht sehen kann, ob Sie selbst sprechen. Für nichts anderes wird es \
verwendet. Nach Gefühlen wird nicht gesucht.
Wer entscheidet: Menschen. Der Server markiert nur, was sich jemand ansehen sollte. Sie können \
fragen, was markiert wurde, und dazu Stellung nehmen.
Ihre Wahl: Sie können ablehnen und die Prüfenden um einen anderen Weg bitten. Ihre Einwilligung \
können Sie jederzeit zurücknehmen, hier oder bei den Prüfenden: Der Stimmabdruck wird dann sofort \
gelöscht, und nichts wird mehr verglichen.""",
    quoted="„{}“",
    no_sound="Der Ton selbst wird nicht gespeichert.",
    if_allowed="Der Ton selbst wird nicht gespeichert, es sei denn, Sie erlauben es gesondert.",
    clips="Rund um markierte Stellen werden 10 Sekunden Ton verschlüsselt gespeichert, und wer die"
    " Prüfung beaufsichtigt, kann sie anhören. Das allein können Sie jederzeit zurücknehmen, hier"
    " oder bei den Prüfenden: Der Ton wird dann sofort gelöscht, und die Prüfung geht weiter.",
    voiceprint="Ihr Stimmabdruck wird aufbewahrt",
    record="Das Protokoll der Prüfung wird aufbewahrt",
    sound="Der Ton rund um markierte Stellen wird aufbewahrt",
    until_withdrawn="bis Sie Ihre Einwilligung zurücknehmen oder die Prüfenden ihn löschen",
    until_deleted="bis die Prüfenden es löschen",
    with_record="so lange wie das Protokoll der Prüfung, längstens bis Sie Ihre Einwilligung"
    " zurücknehmen",
    unused="bis er {days} lang nicht benutzt wurde",
    both="{term}, längstens {unused}",
    day="{} Tag",
    days="{} Tage",
)
