"""Portuguese, as it is written in Brazil."""

from __future__ import annotations

from streamer.exams.wordings.wording import Wording

PT = Wording(
    name="Português",
    text="""\
O que acontece: durante o exame {exam}, o seu microfone é ouvido, desde o momento em que você \
começa nesta página até que a deixe ou o exame termine. O servidor compara a voz com a sua \
impressão vocal várias vezes por segundo.
O que é guardado: a impressão vocal, que é uma lista de números calculados a partir da sua voz e \
fica criptografada. E um registro: que voz falou em que momento, com que certeza o servidor soube \
disso e como era a qualidade do som. {sound}
Para quê: para que as pessoas que supervisionam o exame possam ver se é você quem fala. Não é \
usado para mais nada. Emoções não são procuradas.
Quem decide: pessoas. O servidor apenas assinala o que alguém deveria olhar. Você pode perguntar a \
elas o que foi assinalado e responder a isso.
Sua escolha: você pode dizer não e pedir aos examinadores outra forma de fazer o exame. Pode \
retirar o seu consentimento a qualquer momento, aqui ou pedindo a eles: a impressão vocal é então \
apagada imediatamente, e nada mais é comparado.""",
    quoted="“{}”",
    no_sound="O som em si não é guardado.",
    if_allowed="O som em si não é guardado, a menos que você o permita separadamente.",
    clips="Em torno do que é assinalado são guardados, criptografados, 10 segundos de som, e quem"
    " supervisiona o exame pode ouvi-los. Você pode retirar só esta permissão a qualquer momento,"
    " aqui ou pedindo aos examinadores: o som é então apagado imediatamente, e o exame continua.",
    voiceprint="Sua impressão vocal é guardada",
    record="O registro do exame é guardado",
    sound="O som em torno do que é assinalado é guardado",
    until_withdrawn="até que você retire o seu consentimento ou os examinadores a apaguem",
    until_deleted="até que os examinadores o apaguem",
    with_record="por tanto tempo quanto o registro do exame, e no máximo até que você retire o seu"
    " consentimento",
    unused="até que passem {days} sem que seja usada",
    both="{term}, e no máximo {unused}",
    day="{} dia",
    days="{} dias",
)
