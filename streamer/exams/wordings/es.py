"""Spanish."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

ES = Wording(
    name="Español",
    text="""\
Qué ocurre: durante el examen {exam} se escucha su micrófono, desde el momento en que usted \
empieza en esta página hasta que la abandona o termina el examen. El servidor compara la voz con \
su huella de voz varias veces por segundo.
Qué se guarda: la huella de voz, que es una lista de números calculados a partir de su voz y se \
conserva cifrada. Y un registro: qué voz habló en cada momento, con qué seguridad lo supo el \
servidor y cómo era la calidad del sonido. {sound}
Para qué: para que quienes supervisan el examen puedan ver si es usted quien habla. No se usa para \
nada más. No se buscan emociones.
Quién decide: personas. El servidor solo señala lo que alguien debería mirar. Usted puede \
preguntarles qué se señaló y responder a ello.
Su elección: puede decir que no y pedir a los examinadores otra forma de examinarse. Puede retirar \
su consentimiento en cualquier momento, aquí o pidiéndoselo a ellos: la huella de voz se borra \
entonces de inmediato y ya no se compara nada.""",
    quoted="«{}»",
    no_sound="El sonido en sí no se guarda.",
    if_allowed="El sonido en sí no se guarda, a menos que usted lo permita por separado.",
    clips="Alrededor de lo que se señala se guardan, cifrados, 10 segundos de sonido, y quienes"
    " supervisan el examen pueden escucharlos. Puede retirar solo este permiso en cualquier"
    " momento, aquí o pidiéndolo a los examinadores: el sonido se borra entonces de inmediato"
    " y el examen continúa.",
    voiceprint="Su huella de voz se conserva",
    record="El registro del examen se conserva",
    sound="El sonido alrededor de lo señalado se conserva",
    until_withdrawn="hasta que usted retire su consentimiento o los examinadores la borren",
    until_deleted="hasta que los examinadores lo borren",
    with_record="tanto tiempo como el registro del examen, y como máximo hasta que usted retire su"
    " consentimiento",
    unused="hasta que pasen {days} sin que se use",
    both="{term}, y como máximo {unused}",
    day="{} día",
    days="{} días",
)
