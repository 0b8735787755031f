"""sql/migrations/0020_attention_pages"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0020_attention_pages")
