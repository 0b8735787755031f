"""sql/migrations/0032_left_alone"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0032_left_alone")
